"""What a recipe will cost on a split: work, time on GPUs, peak memory, and limits that fit.

Knows the recipe and the weights folder; the arithmetic is the cost room's. Read from config.json
alone, or from the table of released sizes where a checkpoint has not been fetched yet.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from submission.cost.estimate import VALUE_BYTES, Precision, seconds_of_reading
from submission.cost.fitting import Needs, fit, most
from submission.cost.hardware import GPUS, SHOWN, Gpu
from submission.cost.lines import Fitting, MemberCost, cost_lines
from submission.cost.memory import parameters, peak_memory
from submission.cost.procedures import IMAGES, Stages, ours, public, sum_stages
from submission.cost.released import RELEASED, config_json
from submission.cost.sizes import Sizes, parse_sizes, read_sizes
from submission.cost.video import Asking, AtOnce, Clip
from submission.dataset.records import Split, Video
from submission.device import Place
from submission.errors import InputError
from submission.passes import Needs as Sharing
from submission.passes import make_passes
from submission.progress import Reporter
from submission.recipe import Compute, Recipe, Sa2VAMember
from submission.sharing import MODELS_SHARE
from submission.weights.folders import Weights, find_own
from submission.weights.sizes import in_words

IMAGES_ON_A_GPU = 8  # what images_at_once = 0 means there


@dataclass(frozen=True)
class _Member:
    """An expert with a checkpoint, as the cost room sees it."""

    name: str
    model: str  # names the loaded model
    sizes: Sizes
    asking: Asking
    clips: Mapping[str, Clip]  # by name of a video
    value_bytes: int
    beside: float = 0.0  # bytes of models that stay loaded beside its own

    def needs(self, gpu_bytes: float) -> list[Needs]:
        """The peak of every video, for fitting; videos of one shape count once."""
        return [partial(self._peak, clip, gpu_bytes) for clip in dict.fromkeys(self.clips.values())]

    def _peak(self, clip: Clip, gpu_bytes: float, at_once: AtOnce) -> float:
        peak = peak_memory(
            self.sizes, clip, self.asking, at_once, gpu_bytes=gpu_bytes,
            value_bytes=self.value_bytes,
        )  # fmt: skip
        return peak.total + self.beside

    @property
    def weights(self) -> float:
        """Bytes of the weights alone."""
        tuned = self.asking.procedure == "sa2va-i"
        return self.value_bytes * parameters(self.sizes, tuned=tuned)


def plan_cost(
    recipe: Recipe, weights: Weights, to_do: Mapping[str, Sequence[Video]], place: Place | None
) -> list[str]:
    """Return in words what each expert still has to do; `to_do` gives its videos, by name.

    `place` is the GPU at hand; without one the lines speak of some known GPUs.
    """
    members: list[_Member] = []
    unknown: dict[str, str] = {}
    for expert in recipe.experts:
        if not isinstance(expert, Sa2VAMember):
            continue
        try:
            members.append(_member(expert, recipe, weights, to_do[expert.name]))
        except InputError as error:
            unknown[expert.name] = str(error)
    seen: set[tuple[str, str]] = set()  # model and video: features of its frames are there
    costs = []
    for member in members:
        share = recipe.compute.share_features == "auto"
        known = {video for model, video in seen if share and model == member.model}
        costs.append(_cost(member, _wanted(recipe.compute), place, known))
        seen |= {(member.model, video) for video in member.clips}
    return cost_lines(costs, unknown, place, _precision(recipe.compute))


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
                members.append(_member(expert, recipe, weights, split.videos))
    for member in members:
        _refuse_weights(member, place)
    wanted = chosen = _wanted(recipe.compute)
    for member in _side_by_side(members, recipe.compute, place):
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


def _side_by_side(members: Sequence[_Member], compute: Compute, place: Place) -> list[_Member]:
    """The members, each with the weight of the models that may stay loaded beside its own.

    Taken as if all image encoders were equal, which only the content of checkpoints can tell.
    """
    if compute.share_features == "off":
        return list(members)
    needs = {one.name: Sharing(one.model, "equal", round(one.weights)) for one in members}
    beside: dict[str, float] = {}
    for one in make_passes(needs, round(MODELS_SHARE * place.total)):
        models = {needs[name].model: needs[name].weights for name in one}
        beside |= {name: sum(models.values()) - needs[name].weights for name in one}
    return [replace(one, beside=beside[one.name]) for one in members]


def find_sizes(name: str, recipe: Recipe, weights: Weights) -> Sizes:
    """Return the sizes of a checkpoint as a recipe names it.

    Raises InputError when its config.json is not there and its sizes are not known by name.
    """
    locked = weights.lock.find(name)
    if locked is None:
        return read_sizes(find_own(name, recipe.folder, weights))
    folder = weights.place(locked)
    if (folder / "config.json").is_file():
        return read_sizes(folder)
    if name in RELEASED:
        return parse_sizes(config_json(name))
    raise InputError(f"{folder}: there is no config.json: run {weights.command('fetch', name)}")


def _member(
    expert: Sa2VAMember, recipe: Recipe, weights: Weights, videos: Sequence[Video]
) -> _Member:
    return _Member(
        expert.name,
        f"{expert.checkpoint} {expert.sam2}",
        find_sizes(expert.checkpoint, recipe, weights),
        Asking(
            expert.frames,
            expert.procedure,
            expert.sampling,
            expert.prompt_frames,
            expert.nearest_prompts,
            expert.memory_stride,
        ),
        {
            video.name: Clip(len(video.frame_names), len(video.expressions), *video.size)
            for video in videos
            if video.expressions
        },
        VALUE_BYTES[_precision(recipe.compute)],
    )


def _cost(
    member: _Member, at_once: AtOnce, place: Place | None, known: AbstractSet[str]
) -> MemberCost:
    """The cost of a member; the image features of `known` videos are there from another one."""
    places = [place] if place is not None else [_whole(gpu) for gpu in GPUS if gpu.name in SHOWN]
    clips, sizes, asking = member.clips, member.sizes, member.asking

    def share(video: str, stages: Stages) -> Stages:
        return {k: work for k, work in stages.items() if k != IMAGES or video not in known}

    return MemberCost(
        member.name,
        ours=sum_stages(share(v, ours(sizes, clip, asking, at_once)) for v, clip in clips.items()),
        public=sum_stages(public(sizes, clip, asking) for clip in clips.values()),
        reading=sum(seconds_of_reading(clip) for v, clip in clips.items() if v not in known),
        peak=most(member.needs(place.total if place is not None else 0), at_once),
        on={one.name: _fitting(member, at_once, one) for one in places},
    )


def _whole(gpu: Gpu) -> Place:
    """A GPU of the table, with nothing else on it."""
    return Place(gpu.name, gpu.memory, gpu.memory)


def _fitting(member: _Member, at_once: AtOnce, place: Place) -> Fitting:
    """The peak on a GPU with the limits that a run there would choose."""
    needs = member.needs(place.total)
    chosen = fit(needs, at_once, place.free)
    peak = most(needs, chosen or AtOnce(1, 1, 1))
    return Fitting(peak, fits=chosen is not None, is_smaller=chosen not in (None, at_once))


def _wanted(compute: Compute) -> AtOnce:
    return AtOnce(
        compute.objects_at_once, compute.sentences_at_once,
        compute.images_at_once or IMAGES_ON_A_GPU,
    )  # fmt: skip


def _precision(compute: Compute) -> Precision:
    return "float32" if compute.dtype == "float32" else "bfloat16"


def _refuse_weights(member: _Member, place: Place) -> None:
    if member.weights > place.free:
        raise InputError(
            f"expert {member.name}: the weights alone take {in_words(member.weights)}, and "
            f"{place.name} has {in_words(place.free)} free of {in_words(place.total)}: take a "
            "smaller checkpoint, or a larger GPU"
        )


def _does_not_fit(member: _Member, place: Place) -> str:
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
    remedy = f"set frames = {fewer[-1]} for it, or take" if fewer else "take"
    return (
        f"expert {member.name}: one object and one image at a time still need about "
        f"{in_words(least)}, and {place.name} has {in_words(place.free)} free: if it runs out of "
        f"memory, {remedy} a smaller checkpoint"
    )
