"""How InternVL sees frames: a frame as a square, nine as a square mosaic; no torch."""

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any

from submission.models.sa2va.settings import Settings
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
