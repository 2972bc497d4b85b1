"""How InternVL sees frames: a frame as a square, nine as a square mosaic; no torch."""

from collections.abc import Sequence
from math import isqrt

from submission.video.transforms import FrameRequest, Mosaic, Squash, Transform

Images = Sequence[tuple[int, ...]]  # the frames of each image that the language model sees


def transform_of(frames: int, side: int) -> Transform:
    """Return what makes one image, a square of `side` pixels, of so many frames."""
    return Squash(side) if frames == 1 else Mosaic(isqrt(frames), side)


def image_requests(images: Images, side: int) -> tuple[FrameRequest, ...]:
    """Return the frames to ask for, one request for each way of making images."""
    ways = dict.fromkeys(len(image) for image in images)
    return tuple(
        FrameRequest(
            tuple(time for image in images if len(image) == frames for time in image),
            transform_of(frames, side),
        )
        for frames in ways
    )
