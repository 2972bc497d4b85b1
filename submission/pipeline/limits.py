"""Limits with which a recipe fits the GPU at hand, chosen before anything is loaded.

A run that would go out of memory half-way is mended here: less goes through at once. What cannot
be mended so is warned of or refused, naming the setting that would.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import replace

from submission.cost.fitting import fit, most
from submission.cost.video import AtOnce
from submission.dataset.records import Split
from submission.device import Place
from submission.errors import InputError
from submission.pipeline.forecast import Member, read_member, side_by_side, wanted_at_once
from submission.progress import Reporter
from submission.recipe import Compute, Recipe, Sa2VAMember
from submission.weights.folders import Weights
from submission.weights.sizes import in_words


def fit_limits(
    recipe: Recipe, split: Split, busy: AbstractSet[str], weights: Weights, place: Place,
    reporter: Reporter,
) -> Compute:  # fmt: skip
    """Return the recipe's [compute] with limits that fit the GPU at hand, and say what changed.

    `busy` names the experts that have something to do. Raises InputError when the weights of one
    of them alone do not fit; warns when only the estimate of everything else does not.
    """
    members = []
    for expert in recipe.experts:
        if isinstance(expert, Sa2VAMember) and expert.name in busy:
            with suppress(InputError):  # what is wrong with a checkpoint is said when it is opened
                members.append(read_member(expert, recipe, weights, split.videos))
    for member in members:
        _refuse_weights(member, place)
    wanted = chosen = wanted_at_once(recipe.compute)
    for member in side_by_side(members, recipe.compute, place.free):
        fitting = fit(member.needs(place.total), chosen, place.free)
        if fitting is None:
            reporter.warn(_does_not_fit(member, place))
        chosen = fitting or AtOnce(1, 1, 1)
    if chosen == wanted:
        return recipe.compute
    reporter.detail(
        f"for the {in_words(place.free)} that {place.name} has free: "
        f"objects_at_once = {chosen.objects}, images_at_once = {chosen.images}, "
        f"sentences_at_once = {chosen.sentences}"
    )
    return replace(
        recipe.compute, objects_at_once=chosen.objects, images_at_once=chosen.images,
        sentences_at_once=chosen.sentences,
    )  # fmt: skip


def _refuse_weights(member: Member, place: Place) -> None:
    if member.weights > place.free:
        raise InputError(
            f"expert {member.name}: the weights alone take {in_words(member.weights)}, and "
            f"{place.name} has {in_words(place.free)} free of {in_words(place.total)}: "
            f"{_eight_bits(member, lambda smaller: smaller.weights, place)}take a smaller "
            "checkpoint, or a larger GPU"
        )


def _does_not_fit(member: Member, place: Place) -> str:
    least = most(member.needs(place.total), AtOnce(1, 1, 1))
    fewer = [
        frames
        for frames in range(1, member.asking.frames)
        if most(
            replace(member, asking=replace(member.asking, frames=frames)).needs(place.total),
            AtOnce(1, 1, 1),
        )
        <= place.free
    ]
    remedy = f"set frames = {fewer[-1]} for it, or " if fewer else ""
    if fit(replace(member, beside=0.0).needs(place.total), AtOnce(1, 1, 1), place.free):
        remedy += 'set share_features = "off", so that one model at a time is loaded, or '
    remedy += _eight_bits(
        member, lambda smaller: most(smaller.needs(place.total), AtOnce(1, 1, 1)), place
    )
    return (
        f"expert {member.name}: one object and one image at a time still need about "
        f"{in_words(least)}, and {place.name} has {in_words(place.free)} free: if it runs out of "
        f"memory, {remedy}take a smaller checkpoint"
    )


def _eight_bits(member: Member, need: Callable[[Member], float], place: Place) -> str:
    """The setting that keeps the language model in eight bits, where with it the need fits."""
    smaller = replace(member, asking=replace(member.asking, quantize="int8"))
    if member.asking.quantize == "int8" or need(smaller) > place.free:
        return ""
    return 'set quantize = "int8" for it (an approximation, docs/engine.md), or '
