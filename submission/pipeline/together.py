"""How long several workers take together, as far as a plan can know it; nothing is started.

The order is that of a run (cluster/queue.py), over estimated seconds. Not in it: start of workers,
loading, losses, and whatever a cluster has to spare when the run begins.
"""

from collections.abc import Mapping, Sequence

from submission.cluster.queue import Task, seconds_together
from submission.cluster.ray_session import local_share
from submission.compute import Compute, Precision
from submission.cost.estimate import seconds_of_all
from submission.cost.hardware import find_gpu
from submission.cost.lines import MemberCost, Together
from submission.device import num_gpus
from submission.experts.scheduling import Schedule
from submission.experts.sharing import Todo
from submission.pool import num_cores


def together(
    compute: Compute, costs: Sequence[MemberCost], todo: Todo, plan: Schedule,
    gpus: Sequence[str], precision: Precision, *, on_gpu: bool,
) -> Together | None:  # fmt: skip
    """Return what the workers of [compute] take on each of these GPUs; None where it wants none.

    `on_gpu` says that this machine has the GPUs that a run would use. Raises InputError, as the run
    would, for more workers than these carry.
    """
    if not (compute.workers or compute.ray):
        return None
    workers = _number(compute, on_gpu=on_gpu)
    on_one = int(1 / compute.gpus_per_worker + 1e-6)  # workers that have a GPU in common
    seconds: dict[str, float] = {}
    longest: dict[str, float] = {}
    for name in gpus:
        if (gpu := find_gpu(name)) is None:
            continue
        by_expert = {
            cost.name: {
                video: on_one * seconds_of_all(stages, gpu, precision).expected
                for video, stages in cost.by_video.items()
            }
            for cost in costs
        }
        passes = [_tasks(names, by_expert, todo) for names in plan.names]
        longest[name] = sum(max(took.values(), default=0.0) for _, took in passes)
        if workers is not None:
            seconds[name] = sum(seconds_together(tasks, took, workers) for tasks, took in passes)
    return Together(workers, on_one, seconds, longest)


def _number(compute: Compute, *, on_gpu: bool) -> int | None:
    """How many workers a run will have; None where only the run will know."""
    if compute.ray:
        return None if compute.workers == "auto" else compute.workers or None
    if on_gpu:
        return local_share(compute, num_gpus(), num_cores()).workers
    return None if compute.workers == "auto" else compute.workers


def _tasks(
    names: Sequence[str], by_expert: Mapping[str, Mapping[str, float]], todo: Todo
) -> tuple[list[Task], dict[str, float]]:
    """The videos of a pass as a run hands them out, and the seconds that each takes."""
    masks: dict[str, int] = {}
    seconds: dict[str, float] = {}
    for name in names:
        for video in todo[name]:
            masks[video.name] = masks.get(video.name, 0) + video.num_masks
            took = by_expert.get(name, {}).get(video.name, 0.0)
            seconds[video.name] = seconds.get(video.name, 0.0) + took
    return [Task(video, number) for video, number in masks.items()], seconds
