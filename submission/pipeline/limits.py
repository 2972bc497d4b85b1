"""Limits with which a recipe fits the GPU at hand, chosen before anything is loaded.

A run that would go out of memory half-way is mended here: less goes through at once. What cannot
be mended so is warned of or refused, naming the setting that would.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

from submission.compute import Compute
from submission.cost.fitting import Needs, fit, most
from submission.dataset.records import Video
from submission.device import Place, why_no_gpu
from submission.errors import InputError
from submission.experts.expert import Expert
from submission.experts.scheduling import schedule
from submission.models.workload import Limits
from submission.terminal.progress import Reporter
from submission.weights.sizes import in_words

ONE = Limits(1, 1, 1)
SLOW_ON_CPU = 500e6  # parameters from which a CPU takes minutes for a video


@dataclass(frozen=True)
class Demand:
    """An expert, the videos it has to answer, and what stays loaded beside its model."""

    expert: Expert
    videos: tuple[Video, ...]  # one for each shape
    beside: float = 0.0  # bytes

    def needs(self, gpu_bytes: float) -> list[Needs]:
        """The peak of every video, for fitting."""
        return [partial(self._peak, video, gpu_bytes) for video in self.videos]

    def _peak(self, video: Video, gpu_bytes: float, limits: Limits) -> float:
        return (self.expert.memory(video, limits, gpu_bytes) or 0.0) + self.beside

    def peak(self, gpu: Place, limits: Limits = ONE) -> float:
        """Bytes at its largest video."""
        return most(self.needs(gpu.total), limits)

    def fits(self, gpu: Place) -> bool:
        """Whether it fits with one of everything at a time."""
        return self.peak(gpu) <= gpu.free


def demands(
    experts: Sequence[Expert], todo: Mapping[str, Sequence[Video]], compute: Compute, free: float
) -> Iterator[Demand]:
    """Give the experts whose memory is known, as they stand side by side on a GPU.

    `free` is the GPU's memory before anything is loaded, in bytes. Encoders that cannot be compared
    yet are taken as equal.
    """
    busy = [expert for expert in experts if todo[expert.name]]
    share = compute.share_features == "auto"
    plan = schedule(busy, lambda: free, share=share, unknown_are_equal=True)
    beside = {one.name: each.beside(one) for each in plan.passes for one in each.experts}
    for expert in busy:
        videos = one_of_each_shape(todo[expert.name])
        try:
            known = expert.memory(videos[0], ONE, free) is not None
        except InputError:
            continue  # what is wrong with a checkpoint is said when it is opened
        if known:
            yield Demand(expert, videos, beside[expert.name])


def one_of_each_shape(videos: Sequence[Video]) -> tuple[Video, ...]:
    """One video for each number of frames and expressions and each size."""
    found = {(len(one.frame_names), len(one.expressions), one.size): one for one in videos}
    return tuple(found.values())


def fit_limits(
    experts: Sequence[Expert], todo: Mapping[str, Sequence[Video]], compute: Compute, gpu: Place,
    reporter: Reporter,
) -> Compute:  # fmt: skip
    """Return [compute] with limits that fit the GPU at hand, and say what changed.

    `todo` has the videos that each expert has still to answer. Raises InputError when the weights
    of one of them alone do not fit; warns when only the estimate of everything else does not.
    """
    wanted = chosen = compute.limits_on("cuda")
    known = list(demands(experts, todo, compute, gpu.free))
    for demand in known:
        _refuse_weights(demand, gpu)
    for demand in known:
        fitting = fit(demand.needs(gpu.total), chosen, gpu.free)
        if fitting is None:
            reporter.warn(_does_not_fit(demand, gpu))
        chosen = fitting or ONE
    if chosen == wanted:
        return compute
    reporter.say(f"for the {in_words(gpu.free)} that {gpu.name} has free: {chosen.words}")
    return replace(compute, **asdict(chosen))


def warn_of_cpu(
    experts: Sequence[Expert], todo: Mapping[str, Sequence[Video]], compute: Compute,
    reporter: Reporter,
) -> None:  # fmt: skip
    """Warn, once, of large models that are about to run on a CPU because no GPU was found.

    `compute` has the device and precision settled.
    """
    large = []
    for expert in experts:
        if todo[expert.name]:
            try:
                parameters = expert.resources().weights / compute.value_bytes
            except InputError:
                continue  # what is wrong with a checkpoint is said when it is opened
            if parameters > SLOW_ON_CPU:
                large.append(f"{expert.name} ({parameters / 1e9:.1f} G parameters)")
    if large:
        reporter.warn(
            f"no GPU is used, so the CPU will take very long for {', '.join(large)}: "
            f"{why_no_gpu()}. To have it so without this warning: --device cpu"
        )


def _refuse_weights(demand: Demand, gpu: Place) -> None:
    weights = demand.expert.resources().weights
    if weights > gpu.free:
        remedies = _remedies(demand, lambda expert: expert.resources().weights <= gpu.free)
        words = ", or ".join([*remedies, "take a smaller checkpoint", "a larger GPU"])
        raise InputError(
            f"expert {demand.expert.name}: the weights alone take {in_words(weights)}, and "
            f"{gpu.name} has {in_words(gpu.free)} free of {in_words(gpu.total)}: {words}"
        )


def _does_not_fit(demand: Demand, gpu: Place) -> str:
    remedies = []
    if demand.beside and replace(demand, beside=0.0).fits(gpu):
        remedies.append('set share_features = "off", so that one model at a time is loaded')
    remedies += _remedies(demand, lambda expert: replace(demand, expert=expert).fits(gpu))
    return (
        f"expert {demand.expert.name}: one object and one image at a time still need about "
        f"{in_words(demand.peak(gpu))}, and {gpu.name} has {in_words(gpu.free)} free: if it runs "
        f"out of memory, {', or '.join([*remedies, 'take a smaller checkpoint'])}"
    )


def _remedies(demand: Demand, fits: Callable[[Expert], bool]) -> Iterator[str]:
    """The least change of each setting with which the expert fits, in words."""
    for setting in demand.expert.smaller(demand.videos):
        yield from [words for words, expert in setting if fits(expert)][:1]
