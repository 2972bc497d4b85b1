"""Open a checkpoint before its weights are read, and tell what is wrong with it as faults."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from submission.errors import Fault, InputError, faults_of
from submission.weights.checkpoints import CheckpointFinder

MOST = 5  # faults of one checkpoint that are listed


def faults_of_opening(
    finder: CheckpointFinder, name: str, open_it: Callable[[Path], None]
) -> list[Fault]:
    """What `open_it` finds wrong with the path of a checkpoint; nothing where that is to come.

    Experts that name the same checkpoint open it once.
    """
    where = f"checkpoint {name}"
    try:
        path = finder.openable(name)
    except InputError as error:  # its name is nowhere
        return [Fault("checkpoint", str(error).removeprefix("checkpoint "))]
    try:
        if path is not None:
            finder.once((path, open_it.__module__), lambda: open_it(path))
    except InputError as error:
        return list(in_short(where, faults_of(error)))
    return []


def in_short(where: str, faults: Sequence[Fault]) -> Iterator[Fault]:
    """The first faults of a checkpoint, and how many more there are."""
    yield from (Fault(f"{where}: {fault.where}", fault.what) for fault in faults[:MOST])
    if len(faults) > MOST:
        yield Fault(where, f"and {len(faults) - MOST} more of its kind")
