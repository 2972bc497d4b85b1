"""From work to seconds: what a GPU could do at best, and what is expected of it.

"At best" takes the data sheet at its word: a stage takes as long as its arithmetic or the bytes it
moves, whichever is longer, and kernels are free. "Expected" adds up products, attention and bytes
at the attainable shares of hardware.py, or takes the kernels that are started where that is more.
"""

from dataclasses import dataclass

from submission.compute import VALUE_BYTES, Precision
from submission.cost.hardware import BANDWIDTH_SHARE, LAUNCH, NARROW, SHARES, Gpu
from submission.models.workload import Clip, Stages, Work

# The CPU half, measured on one core of an Intel Xeon with Pillow 13 (docs/cost.md has the command).
DECODE_PIXEL = 7e-9  # seconds to decode one pixel of a JPEG
RESIZE_PIXEL = 8e-9  # seconds to squash one to SAM 2's square, bicubic


@dataclass(frozen=True)
class Seconds:
    """Time of some work on a GPU."""

    at_best: float
    expected: float


def seconds_of(stage: str, work: Work, gpu: Gpu, precision: Precision) -> Seconds:
    """Time of one stage."""
    peak = gpu.bfloat16 if precision == "bfloat16" else gpu.float32
    few, many = gpu.attention
    products = (work.flop - work.attention) / SHARES.get(stage, NARROW)
    attention = (work.attention - work.wide) / few + work.wide / many
    moving = work.values * VALUE_BYTES[precision] / gpu.bandwidth
    return Seconds(
        max(work.flop / peak, moving),
        max((products + attention) / peak + moving / BANDWIDTH_SHARE, work.calls * LAUNCH),
    )


def seconds_of_all(stages: Stages, gpu: Gpu, precision: Precision) -> Seconds:
    """Time of stages that run one after another."""
    each = [seconds_of(stage, work, gpu, precision) for stage, work in stages.items()]
    return Seconds(sum(time.at_best for time in each), sum(time.expected for time in each))


def seconds_of_reading(clip: Clip) -> float:
    """Core seconds of a CPU to decode a video's frames and to resize them; cores share them."""
    return clip.frames * clip.height * clip.width * (DECODE_PIXEL + RESIZE_PIXEL)
