"""What a case costs by the cost model: work, limit of the hardware, and peak memory."""

from functools import cache

from scripts.benchmark.cases import Case
from scripts.benchmark.sizes import config_values
from submission.compute import Precision
from submission.cost.estimate import seconds_of_all
from submission.cost.hardware import find_gpu
from submission.experts.sa2va.cost import Cost
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.settings import Settings
from submission.models.workload import Clip, Limits, Stages


@cache
def cost_of(size: str, procedure: str = "sa2va") -> Cost:
    """The cost of a size in a procedure; its counts are remembered in the user's cache."""
    return Cost(config_values(size), size, PROCEDURES[procedure], "none")


def works_of(case: Case, limits: Limits) -> tuple[Stages, Stages]:
    """Work of a case by ours and by the public procedure."""
    cost, clips = cost_of(case.size, case.procedure), [_call(case)]
    return cost.ours(clips, limits), cost.public(clips)


def limit_of(
    case: Case, device_name: str, limits: Limits, precision: Precision = "bfloat16"
) -> float | None:
    """Return the seconds below which no hardware of this name answers a case.

    None for a device that is not in the table of GPUs; `device_name` is as
    `torch.cuda.get_device_name` has it.
    """
    gpu = find_gpu(device_name)
    if gpu is None:
        return None
    ours = cost_of(case.size, case.procedure).ours([_call(case)], limits)
    return seconds_of_all(ours, gpu, precision).at_best


def peak_of(case: Case, limits: Limits, *, gpu_bytes: float, value_bytes: int) -> float:
    """Peak memory of a case in bytes, weights included."""
    cost = cost_of(case.size, case.procedure)
    return cost.memory(
        [_call(case)], cost.weights(value_bytes), limits, gpu_bytes=gpu_bytes,
        value_bytes=value_bytes,
    )  # fmt: skip


def _call(case: Case) -> tuple[Settings, Clip]:
    settings = Settings(frames=case.key_frames, procedure=case.procedure)  # type: ignore[arg-type]
    return settings, Clip(case.frames, case.sentences, case.height, case.width)
