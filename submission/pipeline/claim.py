"""Before any work: what is stored belongs to this recipe and split, or all of it is refused."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

from submission.errors import InputError, StoreMismatch
from submission.experts.expert import Expert
from submission.experts.scheduling import in_turn
from submission.masks.renamed import leftovers, same_maker, take_over
from submission.masks.store import PredictionStore
from submission.pipeline.prepare import Prepared
from submission.terminal.progress import Reporter


def claim_all(
    prepared: Prepared, store: PredictionStore, reporter: Reporter, *, mend: bool = False
) -> int:
    """Refuse, before any work, a store that was filled by other settings, weights, code or data.

    Answers that cost nothing to make again are thrown away instead, with a line, and those of an
    expert that had another name are taken over. With `mend` damaged records are made again.
    Returns how many answers came or went, so that it is known whether there is other work now;
    raises InputError with what is wrong with the answers of all experts.

    An expert that reads what others have stored is asked after them: their identity is part of its
    own.
    """
    changed = 0
    errors: list[InputError] = []
    for expert in chain(*in_turn(prepared.experts)):
        try:
            changed += _claim(expert, prepared, store, reporter, mend=mend)
        except InputError as error:
            errors.append(error)
    if len(errors) > 1:
        raise InputError("\n".join(str(error) for error in errors))
    if errors:
        raise errors[0]
    return changed


def _claim(
    expert: Expert, prepared: Prepared, store: PredictionStore, reporter: Reporter, *, mend: bool
) -> int:
    """Claim what one expert has stored, and return how many of its answers came or went."""
    if expert.name in prepared.outdated:
        reporter.say(f"expert {expert.name}: its files have changed and are read again")
        store.forget(expert.name, prepared.outdated[expert.name])
    identity = expert.identity()
    if gone := len(store.claim(expert.name, identity, mend=mend)):
        reporter.warn(
            f"expert {expert.name}: its record was damaged, and {gone} predictions do not "
            "say what made them: they are made again"
        )
    names = {one.name for one in prepared.experts}
    old = same_maker(store, identity, names) if prepared.todo[expert.name] else None
    taken = take_over(store, old, expert.name, prepared.split) if old else 0
    if taken:
        reporter.say(f"expert {expert.name}: {taken} answers taken over from {old}")
    store.unanswered(expert.name, prepared.split)
    return gone + taken


def answers_to_take(prepared: Prepared, store: PredictionStore) -> Iterator[str]:
    """Say, before a run, which answers it will take over from an expert's earlier name."""
    names = {expert.name for expert in prepared.experts}
    for expert in prepared.experts:
        if expert.after() or not prepared.todo[expert.name] or not leftovers(store, names):
            continue
        with suppress(InputError):  # a checkpoint that is still to come, as the plan says
            if old := same_maker(store, expert.identity(), names):
                yield f"expert {expert.name}: answers of {old} were made alike and are taken over"


def refusals(prepared: Prepared, store: PredictionStore, *, mend: bool = False) -> Iterator[str]:
    """Say, before a run, which stored answers it would refuse on this machine, and why.

    With `mend` only those that were made for other data or in another way.
    """
    for expert in prepared.experts:
        if expert.after() or expert.name in prepared.outdated or store.is_empty(expert.name):
            continue
        with suppress(InputError):  # a checkpoint that is still to come, as the plan says
            identity = expert.identity()
            try:
                # Beside answers a claim writes no record.
                (store.refuse_mending if mend else store.claim)(expert.name, identity)
                store.unanswered(expert.name, prepared.split)
            except InputError as error:
                if mend and not isinstance(error, StoreMismatch):
                    continue
                yield f"on this machine the run would be refused: {error}"
