"""From work to seconds: what a GPU could do at best, and what is expected of it.

A stage takes as long as the slowest of three: its arithmetic, the bytes it moves, the kernels it
starts. "At best" takes the data sheet at its word and kernels as free; "expected" uses the
attainable shares of hardware.py, which are assumptions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from submission.cost.hardware import (
    ATTENTION_STAGES,
    BANDWIDTH_SHARE,
    LAUNCH,
    SHARES,
    SMALL,
    Gpu,
    find_gpu,
)
from submission.cost.operations import Work
from submission.cost.procedures import Stages, ours, public, total
from submission.cost.sizes import parse_sizes
from submission.cost.video import Asking, AtOnce, Clip
from submission.models.sa2va.settings import ProcedureName

Precision = Literal["bfloat16", "float32"]
VALUE_BYTES: Mapping[str, int] = {"bfloat16": 2, "float32": 4}

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
    share = SHARES.get(stage, SMALL)
    if stage in ATTENTION_STAGES:
        share = gpu.attention
    moving = work.moved(VALUE_BYTES[precision]) / gpu.bandwidth
    return Seconds(
        max(work.flop / peak, moving),
        max(work.flop / peak / share, moving / BANDWIDTH_SHARE, work.calls * LAUNCH),
    )


def seconds_of_all(stages: Stages, gpu: Gpu, precision: Precision) -> Seconds:
    """Time of stages that run one after another."""
    each = [seconds_of(stage, work, gpu, precision) for stage, work in stages.items()]
    return Seconds(sum(time.at_best for time in each), sum(time.expected for time in each))


def seconds_of_reading(clip: Clip) -> float:
    """Core seconds of a CPU to decode a video's frames and to resize them; cores share them."""
    return clip.frames * clip.height * clip.width * (DECODE_PIXEL + RESIZE_PIXEL)


@dataclass(frozen=True)
class Limit:
    """What the cost model says of one video: for `share of the limit` in a benchmark."""

    flop: float  # ours
    public_flop: float
    seconds: Seconds  # ours
    public_seconds: Seconds


def video_limit(
    config: Mapping[str, Any], device_name: str, *, frames: int, sentences: int, key_frames: int,
    size: tuple[int, int], procedure: ProcedureName = "sa2va", precision: Precision = "bfloat16",
    objects_at_once: int = 16, images_at_once: int = 8,
) -> Limit | None:  # fmt: skip
    """Return work and time of one video, None for a device that is not in the table of GPUs.

    Parameters
    ----------
    config
        The content of config.json.
    device_name
        As `torch.cuda.get_device_name` has it.
    size
        (height, width) of the frames, in pixels.

    `limit.seconds.at_best / measured` is the share of what the hardware allows.
    """
    gpu = find_gpu(device_name)
    if gpu is None:
        return None
    sizes = parse_sizes(config)
    clip = Clip(frames, sentences, *size)
    asking = Asking(key_frames, procedure)
    at_once = AtOnce(objects_at_once, images=images_at_once)
    shared, alone = ours(sizes, clip, asking, at_once), public(sizes, clip, asking)
    return Limit(
        total(shared).flop, total(alone).flop, seconds_of_all(shared, gpu, precision),
        seconds_of_all(alone, gpu, precision),
    )  # fmt: skip
