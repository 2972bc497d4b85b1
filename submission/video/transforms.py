"""What a model wants to see of frames: small frozen records that decoding threads call.


A transform takes the frames of one image and returns it; most take one frame, a mosaic several.
Two that are equal make the same image of the same frames, so an image is made and kept once for
all who ask for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Frame = NDArray[np.uint8]  # (H, W, 3) RGB
Size = tuple[int, int]  # height, width in pixels


class Transform(Protocol):
    """Frames of one size in, one image out; equal records do the same, and can be hashed."""

    @property
    def frames_per_image(self) -> int:
        """How many frames make one image."""

    def size(self, height: int, width: int) -> Size:
        """Return the size of the image that frames of this size make."""

    def __call__(self, *frames: Frame) -> Frame:
        """Return the image, uint8 (h, w, 3)."""


class _OneFrame:
    frames_per_image = 1


@dataclass(frozen=True)
class AsIs(_OneFrame):
    """The frame as it was decoded."""

    def size(self, height: int, width: int) -> Size:
        return height, width

    def __call__(self, *frames: Frame) -> Frame:
        (frame,) = frames
        return frame


@dataclass(frozen=True)
class Squash(_OneFrame):
    """A square of `side` pixels, bicubic, without keeping the aspect."""

    side: int

    def size(self, height: int, width: int) -> Size:
        return self.side, self.side

    def __call__(self, *frames: Frame) -> Frame:
        (frame,) = frames
        return _resize(frame, self.size(0, 0), Image.Resampling.BICUBIC)


@dataclass(frozen=True)
class SmartResize(_OneFrame):
    """Sides that are multiples of `factor` and an area within bounds, bicubic; as Qwen-VL sees.

    Each side goes to the nearest multiple (half to even), at least one; an area out of bounds is
    mended by one scale for both sides, rounded down when it shrinks and up when it grows.
    """

    factor: int
    min_pixels: int
    max_pixels: int

    def size(self, height: int, width: int) -> Size:
        near = self._multiple(round, height), self._multiple(round, width)
        if near[0] * near[1] > self.max_pixels:
            scale = sqrt(height * width / self.max_pixels)
            return self._multiple(floor, height / scale), self._multiple(floor, width / scale)
        if near[0] * near[1] < self.min_pixels:
            scale = sqrt(self.min_pixels / (height * width))
            return self._multiple(ceil, height * scale), self._multiple(ceil, width * scale)
        return near

    def _multiple(self, rounding: Callable[[float], int], side: float) -> int:
        return max(self.factor, rounding(side / self.factor) * self.factor)

    def __call__(self, *frames: Frame) -> Frame:
        (frame,) = frames
        return _resize(frame, self.size(*frame.shape[:2]), Image.Resampling.BICUBIC)


@dataclass(frozen=True)
class ShortSide(_OneFrame):
    """The shorter side becomes `side` pixels and the aspect is kept, bilinear.

    Where the longer side would pass `longest`, it is that instead; 0 is no bound.
    """

    side: int
    longest: int = 0

    def size(self, height: int, width: int) -> Size:
        scale = self.side / min(height, width)
        if self.longest and max(height, width) * scale > self.longest:
            scale = self.longest / max(height, width)
        return int(height * scale + 0.5), int(width * scale + 0.5)

    def __call__(self, *frames: Frame) -> Frame:
        (frame,) = frames
        return _resize(frame, self.size(*frame.shape[:2]), Image.Resampling.BILINEAR)


@dataclass(frozen=True)
class Mosaic:
    """grid x grid frames beside and below each other, row by row, then squashed to a square.

    They are laid out at full size first: resized one by one, pixels at the seams would differ.
    """

    grid: int
    side: int

    @property
    def frames_per_image(self) -> int:
        return self.grid**2

    def size(self, height: int, width: int) -> Size:
        return self.side, self.side

    def __call__(self, *frames: Frame) -> Frame:
        rows = [frames[start : start + self.grid] for start in range(0, len(frames), self.grid)]
        whole = np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)
        return _resize(whole, (self.side, self.side), Image.Resampling.BICUBIC)


@dataclass(frozen=True)
class Then:
    """One transform after another: Qwen-VL's frames are resized twice."""

    first: Transform
    second: Transform

    @property
    def frames_per_image(self) -> int:
        return self.first.frames_per_image

    def size(self, height: int, width: int) -> Size:
        return self.second.size(*self.first.size(height, width))

    def __call__(self, *frames: Frame) -> Frame:
        return self.second(self.first(*frames))


@dataclass(frozen=True)
class FrameRequest:
    """These frames, by index, through this transform; `frames_per_image` of them make an image."""

    frames: tuple[int, ...]
    transform: Transform

    def images(self) -> list[tuple[int, ...]]:
        """Return the frames of each image, in order.

        Raises ValueError when the frames do not make whole images.
        """
        each = self.transform.frames_per_image
        if len(self.frames) % each:
            raise ValueError(f"{len(self.frames)} frames make no whole images of {each}")
        return [self.frames[n : n + each] for n in range(0, len(self.frames), each)]


def _resize(frame: Frame, size: Size, how: Image.Resampling) -> Frame:
    return np.asarray(Image.fromarray(frame).resize(size[::-1], how))
