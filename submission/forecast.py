"""What a recipe will cost on a split: work, time on GPUs and peak memory.

Knows the recipe and the weights folder; the arithmetic is the cost room's. Read from config.json
alone, or from the table of released sizes where a checkpoint has not been fetched yet.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
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
from submission.experts import IMAGES_AT_ONCE
from submission.recipe import Compute, Recipe, Sa2VAMember
from submission.weights.folders import Weights, find_own


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
    recipe: Recipe, weights: Weights, to_do: Mapping[str, Sequence[Video]], place: Place | None
) -> list[str]:
    """Return in words what each expert still has to do; `to_do` gives its videos, by name.

    `place` is the GPU at hand; without one the lines speak of some known GPUs.
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
    seen: set[tuple[str, str]] = set()  # model and video: features of its frames are there
    costs = []
    for member in members:
        share = recipe.compute.share_features == "auto"
        known = {video for model, video in seen if share and model == member.model}
        costs.append(_cost(member, wanted_at_once(recipe.compute), place, known))
        seen |= {(member.model, video) for video in member.clips}
    return cost_lines(costs, unknown, place, _precision(recipe.compute))


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
        expert.nearest_prompts, expert.memory_stride, expert.quantize,
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


def _cost(
    member: Member, at_once: AtOnce, place: Place | None, known: AbstractSet[str]
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
