"""What a recipe will cost on a split: work, time on GPUs and peak memory, as experts say it.

The arithmetic is the cost room's; which expert is of which kind is nobody's business here.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from submission.compute import Compute
from submission.cost.estimate import seconds_of_reading
from submission.cost.fitting import fit
from submission.cost.hardware import GPUS, SHOWN, Gpu
from submission.cost.lines import Fitting, MemberCost, cost_lines
from submission.dataset.records import Video
from submission.device import Place
from submission.errors import InputError
from submission.experts.expert import EVERYTHING, Expert
from submission.experts.scheduling import Schedule
from submission.experts.sharing import Todo, made_before
from submission.models.workload import IMAGES, Clip, Limits, Stages, sum_stages
from submission.pipeline.limits import ONE, Demand, demands, one_of_each_shape
from submission.pipeline.together import together

Known = TypeVar("Known")


def plan_cost(
    experts: Sequence[Expert], todo: Todo, compute: Compute, gpu: Place | None, plan: Schedule
) -> list[str]:
    """Return in words what each expert still has to do.

    `gpu` is the one at hand; without one the lines speak of some known GPUs. `plan` says which
    experts go through the videos together: what they share is made by the first of them.
    """
    limits = compute.limits_on("cuda")
    gpus = [gpu] if gpu is not None else [_whole(gpu) for gpu in GPUS if gpu.name in SHOWN]
    if compute.workers or compute.ray:
        gpus = [one.of(compute.gpus_per_worker) for one in gpus]
    on = {one.name: _fittings(experts, todo, compute, one) for one in gpus}
    there_before = _there_before(plan, todo)
    costs: list[MemberCost] = []
    unknown: dict[str, str] = {}
    for expert in experts:
        there = {name: fittings.get(expert.name) for name, fittings in on.items()}
        try:
            made = there_before.get(expert.name, {})
            cost = _cost(expert, todo[expert.name], made, limits, there)
        except InputError as error:
            unknown[expert.name] = str(error)
            continue
        if cost is None:
            unknown[expert.name] = "its kind does not say what it takes"
        else:
            costs.append(cost)
    precision = compute.precision
    crew = together(compute, costs, todo, plan, list(on), precision, on_gpu=gpu is not None)
    return cost_lines(costs, unknown, gpu, precision, crew)


def _cost(
    expert: Expert, videos: Sequence[Video], made: Mapping[str, Collection[str]], limits: Limits,
    on: Mapping[str, Fitting | None],
) -> MemberCost | None:  # fmt: skip
    """The cost of an expert; `made` has the stages of a video that are there from another one."""
    asked = [video for video in videos if video.expressions]
    ours = _all_known(expert.work(video, limits) for video in asked)
    if ours is None:
        return None
    public = _all_known(expert.public_work(video) for video in asked)
    peaks = _all_known(expert.memory(video, limits, 0) for video in one_of_each_shape(asked))
    there = [made.get(video.name, ()) for video in asked]
    names = [video.name for video in asked]
    return MemberCost(
        expert.name,
        by_video=dict(zip(names, map(_without, ours, there), strict=True)),
        public=None if public is None else sum_stages(public),
        reading=sum(
            seconds_of_reading(_clip(video))
            for video, stages in zip(asked, there, strict=True)
            if IMAGES not in stages
        ),
        peak=None if peaks is None else max(peaks, default=0.0),
        on=on,
    )


def _all_known(values: Iterable[Known | None]) -> list[Known] | None:
    """The values, or None where one of them is."""
    found = []
    for value in values:
        if value is None:
            return None
        found.append(value)
    return found


def _without(stages: Stages, there: Collection[str]) -> Stages:
    if EVERYTHING in there:
        return {}
    return {name: work for name, work in stages.items() if name not in there}


def _there_before(plan: Schedule, todo: Todo) -> dict[str, dict[str, set[str]]]:
    """By expert and video, what others of the pass have made: always the image features, too."""
    found = {
        expert: {video: set(made) for video, made in by_video.items()}
        for expert, by_video in made_before(plan, todo).items()
    }
    for names in plan.names:
        seen: set[str] = set()
        for name in names:
            for video in seen & found[name].keys():
                found[name][video].add(IMAGES)
            seen |= found[name].keys()
    return found


def _fittings(
    experts: Sequence[Expert], todo: Todo, compute: Compute, gpu: Place
) -> dict[str, Fitting]:
    """The peak of each expert on a GPU with the limits that a run there would choose."""
    limits = compute.limits_on("cuda")
    return {
        demand.expert.name: _fitting(demand, limits, gpu)
        for demand in demands(experts, todo, compute, gpu.free)
    }


def _fitting(demand: Demand, limits: Limits, gpu: Place) -> Fitting:
    chosen = fit(demand.needs(gpu.total), limits, gpu.free)
    peak = demand.peak(gpu, chosen or ONE)
    smaller = chosen if chosen != limits else None
    return Fitting(peak, fits=chosen is not None, smaller=smaller)


def _whole(gpu: Gpu) -> Place:
    """A GPU of the table, with nothing else on it."""
    return Place(gpu.name, gpu.memory, gpu.memory)


def _clip(video: Video) -> Clip:
    return Clip(len(video.frame_names), len(video.expressions), *video.size)
