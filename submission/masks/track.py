"""One mask for each frame of a video, kept as COCO run lengths.

A track answers one sentence. It is small enough to hold a whole video's answers at once:
16 sentences x 79 frames at 1080p are 2.6 GB as arrays and about 2 MB as run lengths.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from submission.dataset.rle import (
    Window,
    decode,
    decode_window,
    encode,
    encode_packed,
    read_item,
)


@dataclass(frozen=True)
class Track:
    """Masks of equal size (height, width), in the order of the video's frames."""

    size: tuple[int, int]
    counts: tuple[bytes, ...]

    @staticmethod
    def encode(masks: NDArray[np.bool_] | Iterable[NDArray[np.bool_]]) -> "Track":
        """Encode masks, bool (T, H, W) or any iterable of bool (H, W), one frame at a time.

        Raises ValueError for no frame, other sizes or another dtype.
        """
        size: tuple[int, int] | None = None
        counts = []
        for index, mask in enumerate(masks):
            if mask.ndim != 2 or mask.dtype != np.bool_:
                raise ValueError(f"frame {index}: {mask.dtype} {mask.shape} is no bool (H, W) mask")
            size = size or (mask.shape[0], mask.shape[1])
            if mask.shape != size:
                raise ValueError(f"frame {index} has size {mask.shape}, the first {size}")
            counts.append(encode(mask))
        if size is None:
            raise ValueError("a track has at least one frame")
        return Track(size, tuple(counts))

    @staticmethod
    def encode_packed(bits: NDArray[np.uint8], width: int) -> "Track":
        """Encode masks at one bit a pixel, uint8 (T, H, ceil(width / 8)), first pixel highest."""
        size = (bits.shape[1], width)
        return Track(size, tuple(encode_packed(frame, width) for frame in bits))

    @staticmethod
    def empty(size: tuple[int, int], num_frames: int) -> "Track":
        """Return a track without any foreground."""
        return Track(size, (encode(np.zeros(size, dtype=np.bool_)),) * num_frames)

    def __len__(self) -> int:
        return len(self.counts)

    def __iter__(self) -> Iterator[NDArray[np.bool_]]:
        """Give the masks one by one, bool (H, W)."""
        return (self.frame(index) for index in range(len(self.counts)))

    def frame(self, index: int) -> NDArray[np.bool_]:
        """Return one mask, bool (H, W), stored by columns."""
        return decode(self.counts[index], self.size)

    def window(self, index: int, align: int = 1) -> Window:
        """Return the part of a mask that has foreground; its left is a multiple of `align`."""
        return decode_window(self.counts[index], self.size, align)

    def decode(self) -> NDArray[np.bool_]:
        """Return all masks, bool (T, H, W)."""
        masks = np.empty((len(self.counts), *self.size), dtype=np.bool_)
        for index in range(len(self.counts)):
            masks[index] = self.frame(index)
        return masks

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Let `numpy.asarray(track)` be the same as `decode`."""
        if copy is False:
            raise ValueError("a track is run-length encoded; its masks are always a copy")
        masks = self.decode()
        return masks if dtype is None else masks.astype(dtype, copy=False)

    @property
    def is_empty(self) -> bool:
        """Whether no frame has foreground."""
        blank = encode(np.zeros(self.size, dtype=np.bool_))
        return all(counts == blank or not decode(counts, self.size).any() for counts in self.counts)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the masks as COCO writes them: `{"size": [h, w], "counts": text}` each."""
        return [{"size": list(self.size), "counts": text.decode()} for text in self.counts]

    @staticmethod
    def from_json(items: Any, size: tuple[int, int]) -> "Track":
        """Return the track of a `to_json` list; raise ValueError, with a reason, if damaged."""
        if not isinstance(items, list) or not items:
            raise ValueError("masks must be a list with one mask for each frame")
        return Track(size, tuple(read_item(item, size) for item in items))
