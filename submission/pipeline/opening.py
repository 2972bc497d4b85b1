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
    absent: dict[str, Fault] = {}
    for expert in experts:
        if to_run:
            absent |= _absent(expert, finder)
        to_come = [absent[name] for name in expert.checkpoints() if name in absent]
        for fault in (*expert.faults(split), *to_come):
            found.setdefault(fault, []).append(expert.name)
    finder.forget_opened()
    if found:
        faults = [
            Fault(f"expert{'s' if users[1:] else ''} {', '.join(users)}: {fault.where}", fault.what)
            for fault, users in found.items()
        ]
        advice = "Mend them and run the same command again; nothing was started."
        if absent:
            advice = (
                f"To bring checkpoints, run: {finder.commands(list(absent))}. A folder of your own "
                f"is given as a path (./NAME). {advice}"
            )
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


def _absent(expert: Expert, finder: CheckpointFinder) -> dict[str, Fault]:
    """The expert's checkpoints that the lock names and that are still to come, by name."""
    named = ((name, finder.to_come(name)) for name in expert.checkpoints())
    return {name: Fault(f"checkpoint {name}", why) for name, why in named if why}
