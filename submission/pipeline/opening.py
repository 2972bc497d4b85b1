"""Open what experts need before any model is made, and tell the faults of all of them at once."""

from collections.abc import Mapping, Sequence

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
    to_fetch: dict[str, None] = {}
    for expert in experts:
        faults = list(expert.faults(split))
        for name in expert.checkpoints():
            wrong = [Fault(f"checkpoint {one.where}", one.what) for one in finder.differences(name)]
            if to_run and (why := finder.to_come(name)):
                wrong.append(Fault(f"checkpoint {name}", why))
            faults += wrong
            to_fetch |= dict.fromkeys([name] if wrong else [])
        for fault in faults:
            found.setdefault(fault, []).append(expert.name)
    finder.forget_opened()
    if found:
        advice = "Mend them and run the same command again; nothing was started."
        if to_fetch:
            advice = (
                f"To bring checkpoints, run: {finder.commands(list(to_fetch))}. A folder of your "
                f"own is given as a path (./NAME). {advice}"
            )
        raise FaultyInput("These experts cannot answer the split:", _by_experts(found), advice)


def _by_experts(found: Mapping[Fault, Sequence[str]]) -> list[Fault]:
    """Each fault once, with the experts that have it."""
    return [
        Fault(f"expert{'s' if users[1:] else ''} {', '.join(users)}: {fault.where}", fault.what)
        for fault, users in found.items()
    ]


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
