"""How InternVL sees frames: a frame as a square, nine as a square mosaic; no torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from math import isqrt
from typing import Any

from submission.errors import Fault
from submission.models.sa2va.settings import QWEN_VL_ONLY, Settings
from submission.video.transforms import FrameRequest, Mosaic, Squash, Transform

Images = Sequence[tuple[int, ...]]  # the frames of each image that the language model sees


def recognises(config: Mapping[str, Any]) -> bool:
    """Always: it is asked last, and the reader of config.json names what it does not know."""
    return True


def transform_of(frames: int, side: int) -> Transform:
    """Return what makes one image, a square of `side` pixels, of so many frames."""
    return Squash(side) if frames == 1 else Mosaic(isqrt(frames), side)


def square_requests(images: Images, side: int) -> tuple[FrameRequest, ...]:
    """Return the frames to ask for, one request for each way of making images."""
    ways = dict.fromkeys(len(image) for image in images)
    return tuple(
        FrameRequest(
            tuple(time for image in images if len(image) == frames for time in image),
            transform_of(frames, side),
        )
        for frames in ways
    )


def image_requests(
    config: Mapping[str, Any], images: Images, settings: Settings
) -> tuple[FrameRequest, ...]:
    """The same by the content of config.json; raise KeyError for a size that it lacks."""
    return square_requests(images, int(config["vision_config"]["image_size"]))


def faults(settings: Settings) -> Iterator[Fault]:
    """The settings that have no effect with this kind of checkpoint."""
    for item in fields(Settings):
        if item.name in QWEN_VL_ONLY and getattr(settings, item.name) != item.default:
            yield Fault(item.name, "it has no effect with a checkpoint of the InternVL kind")
