"""Open what experts need before any model is made, and tell the faults of all of them at once."""

from collections.abc import Sequence

from submission.dataset.records import Split
from submission.errors import Fault, FaultyInput, InputError, join_errors
from submission.experts.expert import Expert
from submission.weights.checkpoints import CheckpointFinder


def refuse_faults(
    experts: Sequence[Expert], split: Split, finder: CheckpointFinder, *, to_run: bool
) -> None:
    """Raise FaultyInput with everything that experts find wrong with their files.

    `to_run` also wants every checkpoint of the lock to be there.
    """
    found: dict[Fault, list[str]] = {}
    for expert in experts:
        absent = _absent(expert, finder) if to_run else []
        for fault in (*expert.faults(split), *absent):
            found.setdefault(fault, []).append(expert.name)
    if found:
        faults = [
            Fault(f"expert{'s' if users[1:] else ''} {', '.join(users)}: {fault.where}", fault.what)
            for fault, users in found.items()
        ]
        advice = "Mend them and run the same command again; nothing was started."
        raise FaultyInput("These experts cannot answer the split:", faults, advice)


def verify_checkpoints(experts: Sequence[Expert], finder: CheckpointFinder) -> None:
    """Raise FaultyInput with everything in which checkpoints differ from the lock.

    Each is read once, and its hashes are remembered.
    """
    wrong = []
    for name in dict.fromkeys(name for expert in experts for name in expert.checkpoints()):
        try:
            finder.find(name)
        except InputError as error:
            wrong.append(error)
    if wrong:
        raise join_errors(wrong, "These checkpoints are not what the lock says, so none is opened:")


def _absent(expert: Expert, finder: CheckpointFinder) -> list[Fault]:
    """The expert's checkpoints that the lock names and that are still to come."""
    named = ((name, finder.to_come(name)) for name in expert.checkpoints())
    return [
        Fault(f"checkpoint {name}", f"{why}; a folder of your own is given as a path: ./{name}")
        for name, why in named
        if why
    ]
