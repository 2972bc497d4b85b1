"""Which experts of a recipe share a model, frames and image features; for a run, and foreseen.

The content of image encoders tells which are equal, and the memory of the device how many models
stand side by side; passes.py has the rule.
"""

from collections.abc import Mapping, Sequence

from submission.cost.estimate import VALUE_BYTES
from submission.dataset.records import Video
from submission.device import memory_of, settle_device, settle_dtype
from submission.errors import InputError
from submission.experts.expert import Expert
from submission.experts.passes import Needs, Pass, count_frames, make_passes
from submission.experts.sa2va import Sa2VAExpert
from submission.recipe import Compute, Recipe, Sa2VAMember
from submission.weights.folders import Weights, locate
from submission.weights.tensors import IMAGE_ENCODER, hash_tensors, loaded_bytes

MODELS_SHARE = 0.6  # of the free memory that models of one pass may take; the rest is for work


def arrange(
    experts: Sequence[Expert], compute: Compute, *, hash_all: bool = False
) -> list[list[Expert]]:
    """Put experts together that share a model or an equal image encoder, as far as memory goes.

    `hash_all` trusts no remembered hash. With share_features = "off" every expert goes alone.
    """
    models = [expert for expert in experts if isinstance(expert, Sa2VAExpert)]
    if compute.share_features == "off" or len(models) < 2:
        return [[expert] for expert in experts]
    needs = {expert.name: Needs() for expert in experts}
    several = len({model.key for model in models}) > 1
    for model in models:
        if several:
            found = hash_tensors(model.checkpoint, IMAGE_ENCODER, again=hash_all)
            model.encoder = found or model.encoder
        value_bytes = VALUE_BYTES[model.shelf.dtype]
        weights = loaded_bytes(model.checkpoint, value_bytes, model.member.quantize)
        needs[model.name] = Needs(str(model.key), model.encoder, weights)
    named = {expert.name: expert for expert in experts}
    passes = make_passes(needs, _room(models[0].shelf.device) if several else 0)
    for one in passes:
        together = [model for model in models if model.name in one]
        for model in together:
            model.beside = {other.key for other in together}
    return [[named[name] for name in one] for one in passes]


def foresee(
    recipe: Recipe, weights: Weights, todo: Mapping[str, Sequence[Video]]
) -> tuple[list[Pass], list[str]]:
    """Return which experts go through the videos together, and in words what that saves.

    `todo` has each expert's videos. Checkpoints are compared where they are on disk, without
    verifying them.
    """
    members = _busy(recipe, todo)
    alone: list[Pass] = [(member.name,) for member in members]
    if len(members) < 2:
        return alone, []
    if recipe.compute.share_features == "off":
        return alone, ['nothing: share_features = "off"']
    needs, unknown = _foreseen_needs(members, recipe, weights)
    passes = _foreseen_passes(needs, recipe)
    lines = [_who_shares(one, needs) for one in passes if len(one) > 1]
    if unknown:
        lines.append(
            f"{', '.join(unknown)}: not fetched yet; then it is seen whether image encoders are "
            "equal"
        )
    asked = {member.name: todo[member.name] for member in members}
    frames, apart = (count_frames(them, asked) for them in (passes, alone))
    return passes, [
        *lines,
        f"{frames:,} frames decoded and encoded for SAM 2, instead of {apart:,}",
    ]


def _busy(recipe: Recipe, todo: Mapping[str, Sequence[Video]]) -> list[Sa2VAMember]:
    members = [expert for expert in recipe.experts if isinstance(expert, Sa2VAMember)]
    return [member for member in members if todo[member.name]]


def _foreseen_passes(needs: Mapping[str, Needs], recipe: Recipe) -> list[Pass]:
    several = len({need.model for need in needs.values()}) > 1
    return make_passes(needs, _room(settle_device(recipe.compute.device)) if several else 0)


def _foreseen_needs(
    members: Sequence[Sa2VAMember], recipe: Recipe, weights: Weights
) -> tuple[dict[str, Needs], list[str]]:
    """What each member needs, and the checkpoints of several that are not on disk."""
    needs = {member.name: Needs(member.model) for member in members}
    if len({need.model for need in needs.values()}) == 1:
        return needs, []
    device = settle_device(recipe.compute.device)
    value_bytes = VALUE_BYTES[settle_dtype(recipe.compute.dtype, device)]
    unknown: dict[str, None] = {}
    for member in members:
        try:
            folder = locate(member.checkpoint, recipe.folder, weights)
            encoder = hash_tensors(folder, IMAGE_ENCODER)
            loaded = loaded_bytes(folder, value_bytes, member.quantize)
        except InputError:
            encoder = ""
        if encoder:
            needs[member.name] = Needs(needs[member.name].model, encoder, loaded)
        else:
            unknown[member.checkpoint] = None
    return needs, list(unknown)


def _who_shares(one: Pass, needs: Mapping[str, Needs]) -> str:
    models = dict.fromkeys(needs[name].model for name in one)
    if len(models) == 1:
        return f"{', '.join(one)}: one loaded model, frames and image features"
    return (
        f"{', '.join(one)}: frames and image features; their image encoders are equal, and "
        f"{len(models)} models are loaded side by side"
    )


def _room(device: str) -> int:
    return round(memory_of(device) * MODELS_SHARE)
