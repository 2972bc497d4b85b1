"""What the model says of one sentence: a text and a mask for every frame, kept as packed bits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PackedMasks:
    """Masks (T, H, W) at one bit a pixel; `numpy.asarray` turns them into bool.

    Sixteen sentences of 79 frames at 1080p are 2.6 GB as bytes and 330 MB so.
    """

    bits: NDArray[np.uint8]  # (T, H, ceil(W / 8)), first pixel in the highest bit
    width: int  # pixels

    @classmethod
    def empty(cls, shape: tuple[int, int, int]) -> "PackedMasks":
        """Return all-background masks of shape (T, H, W)."""
        frames, height, width = shape
        return cls(np.zeros((frames, height, (width + 7) // 8), np.uint8), width)

    @property
    def shape(self) -> tuple[int, int, int]:
        frames, height, _ = self.bits.shape
        return frames, height, self.width

    def __len__(self) -> int:
        return len(self.bits)

    def __getitem__(self, time: int) -> NDArray[np.bool_]:
        """Return the mask (H, W) of one frame, bool."""
        return np.unpackbits(self.bits[time], axis=-1, count=self.width).view(np.bool_)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("packed masks cannot become an array without a copy")
        masks = np.unpackbits(self.bits, axis=-1, count=self.width).view(np.bool_)
        return masks if dtype is None else masks.astype(dtype)

    def write(self, time: int, mask: NDArray[np.bool_]) -> None:
        """Store the mask (H, W) of one frame."""
        self.bits[time] = np.packbits(mask, axis=-1)

    def union(self, other: "PackedMasks") -> "PackedMasks":
        """Return the pixels of either."""
        return PackedMasks(self.bits | other.bits, self.width)


# By frame, in 0..1: SAM 2's predicted IoU of the mask times the chance that there is an object;
# None for a frame in which it looked for nothing.
Confidence = tuple[float | None, ...]


@dataclass(frozen=True)
class Answer:
    """The model's answer to one sentence."""

    text: str  # special tokens included
    masks: PackedMasks  # bool (T, H, W) through numpy.asarray; all False without a [SEG]
    num_seg: int = 0  # [SEG] tokens that were read
    p_yes: float | None = None  # 0..1, that it is there, when asked: "yes" against "no"
    confidence: Confidence = ()  # of several objects' joined masks their mean
