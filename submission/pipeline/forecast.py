"""What a recipe will cost on a split: work, time on GPUs and peak memory.

Knows the recipe and the weights folder; the arithmetic is the cost room's. Read from config.json
alone, or from the table of released sizes where a checkpoint has not been fetched yet.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial

from submission.cost.estimate import VALUE_BYTES, Precision, seconds_of_reading
from submission.cost.fitting import Needs, fit, most
from submission.cost.hardware import GPUS, SHOWN, Gpu
from submission.cost.lines import Fitting, MemberCost, cost_lines
from submission.cost.memory import peak_memory, weight_bytes
from submission.cost.procedures import IMAGES, Stages, ours, public, sum_stages
from submission.cost.released import RELEASED, config_json
from submission.cost.sizes import Sizes, parse_sizes, read_sizes
from submission.cost.video import Asking, AtOnce, Clip
from submission.dataset.records import Video
from submission.device import Place
from submission.errors import InputError
from submission.experts.model_cache import IMAGES_AT_ONCE
from submission.experts.passes import Needs as PassNeeds
from submission.experts.passes import Pass, make_passes
from submission.experts.sharing import MODELS_SHARE
from submission.recipe import Compute, Recipe, Sa2VAMember
from submission.weights.folders import Weights, locate


@dataclass(frozen=True)
class Member:
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
        return weight_bytes(self.sizes, self.asking, self.value_bytes)


def plan_cost(
    recipe: Recipe, weights: Weights, to_do: Mapping[str, Sequence[Video]], place: Place | None,
    passes: Sequence[Pass],
) -> list[str]:  # fmt: skip
    """Return in words what each expert still has to do; `to_do` gives its videos, by name.

    `place` is the GPU at hand; without one the lines speak of some known GPUs. `passes` says which
    experts go through the videos together: image features are made by the first of them.
    """
    members: list[Member] = []
    unknown: dict[str, str] = {}
    for expert in recipe.experts:
        if not isinstance(expert, Sa2VAMember):
            continue
        try:
            members.append(read_member(expert, recipe, weights, to_do[expert.name]))
        except InputError as error:
            unknown[expert.name] = str(error)
    known = _encoded_before(passes, {member.name: member.clips for member in members})
    at_once, costs = wanted_at_once(recipe.compute), []
    places = [place] if place is not None else [_whole(gpu) for gpu in GPUS if gpu.name in SHOWN]
    gpu_bytes = place.total if place is not None else 0
    loaded = {there: side_by_side(members, recipe.compute, there.free) for there in places}
    for number, member in enumerate(members):
        on = {there.name: _fitting(loaded[there][number], at_once, there) for there in places}
        peak = most(member.needs(gpu_bytes), at_once)
        costs.append(_cost(member, at_once, known.get(member.name, set()), peak, on))
    return cost_lines(costs, unknown, place, _precision(recipe.compute))


def find_sizes(name: str, recipe: Recipe, weights: Weights) -> Sizes:
    """Return the sizes of a checkpoint as a recipe names it.

    Raises InputError when its config.json is not there and its sizes are not known by name.
    """
    folder = locate(name, recipe.folder, weights)
    if weights.lock.find(name) is None or (folder / "config.json").is_file():
        return read_sizes(folder)
    if name in RELEASED:
        return parse_sizes(config_json(name))
    raise InputError(f"{folder}: there is no config.json: run {weights.command('fetch', name)}")


def memory_of_released(expert: Sa2VAMember, compute: Compute) -> float | None:
    """Estimate the GPU memory for a 1080p video with 16 sentences in bfloat16, in bytes.

    None when the checkpoint's sizes are not known by its name.
    """
    if expert.checkpoint not in RELEASED:
        return None
    sizes, clip = parse_sizes(config_json(expert.checkpoint)), Clip(79, 16, 1080, 1920)
    return peak_memory(sizes, clip, _asking(expert), wanted_at_once(compute), gpu_bytes=0).total


def _asking(expert: Sa2VAMember) -> Asking:
    return Asking(
        expert.frames, expert.procedure, expert.sampling, expert.prompt_frames,
        expert.nearest_prompts, expert.memory_stride, expert.quantize, expert.mode,
    )  # fmt: skip


def read_member(
    expert: Sa2VAMember, recipe: Recipe, weights: Weights, videos: Sequence[Video]
) -> Member:
    """Describe an expert and the videos it has to answer; raises InputError as find_sizes."""
    return Member(
        expert.name,
        expert.model,
        find_sizes(expert.checkpoint, recipe, weights),
        _asking(expert),
        {
            video.name: Clip(len(video.frame_names), len(video.expressions), *video.size)
            for video in videos
            if video.expressions
        },
        VALUE_BYTES[_precision(recipe.compute)],
    )


def side_by_side(members: Sequence[Member], compute: Compute, free: float) -> list[Member]:
    """The members, each with the weight of the models that may stay loaded beside its own.

    `free` is the memory of the GPU before anything is loaded, in bytes. Taken as if all image
    encoders were equal, which only the content of checkpoints can tell.
    """
    busy = [one for one in members if one.clips]
    if compute.share_features == "off":
        return list(members)
    needs = {one.name: PassNeeds(one.model, "equal", round(one.weights)) for one in busy}
    beside: dict[str, float] = {}
    for one in make_passes(needs, round(MODELS_SHARE * free)):
        models = {needs[name].model: needs[name].weights for name in one}
        beside |= {name: sum(models.values()) - needs[name].weights for name in one}
    return [replace(one, beside=beside.get(one.name, 0.0)) for one in members]


def _encoded_before(
    passes: Sequence[Pass], videos: Mapping[str, Iterable[str]]
) -> dict[str, set[str]]:
    """The videos whose image features another expert of the pass has made, by expert."""
    known: dict[str, set[str]] = {}
    for one in passes:
        seen: set[str] = set()
        for name in one:
            known[name] = set(seen)
            seen |= set(videos.get(name, ()))
    return known


def _cost(
    member: Member, at_once: AtOnce, known: AbstractSet[str], peak: float,
    on: Mapping[str, Fitting],
) -> MemberCost:  # fmt: skip
    """The cost of a member; the image features of `known` videos are there from another one."""
    clips, sizes, asking = member.clips, member.sizes, member.asking

    def share(video: str, stages: Stages) -> Stages:
        return {k: work for k, work in stages.items() if k != IMAGES or video not in known}

    return MemberCost(
        member.name,
        ours=sum_stages(share(v, ours(sizes, clip, asking, at_once)) for v, clip in clips.items()),
        public=sum_stages(public(sizes, clip, asking) for clip in clips.values()),
        reading=sum(seconds_of_reading(clip) for v, clip in clips.items() if v not in known),
        peak=peak,
        on=on,
    )


def _whole(gpu: Gpu) -> Place:
    """A GPU of the table, with nothing else on it."""
    return Place(gpu.name, gpu.memory, gpu.memory)


def _fitting(member: Member, at_once: AtOnce, place: Place) -> Fitting:
    """The peak on a GPU with the limits that a run there would choose."""
    needs = member.needs(place.total)
    chosen = fit(needs, at_once, place.free)
    peak = most(needs, chosen or AtOnce(1, 1, 1))
    return Fitting(peak, fits=chosen is not None, is_smaller=chosen not in (None, at_once))


def wanted_at_once(compute: Compute) -> AtOnce:
    """What a recipe lets through at once, on a GPU."""
    return AtOnce(
        compute.objects_at_once, compute.sentences_at_once,
        compute.images_at_once or IMAGES_AT_ONCE["cuda"],
    )  # fmt: skip


def _precision(compute: Compute) -> Precision:
    return "float32" if compute.dtype == "float32" else "bfloat16"
