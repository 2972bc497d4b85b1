"""One mask for each frame of a video, as run lengths: COCO's text in files, edges in memory.

A track answers one sentence. It is small enough to hold a whole video's answers at once:
16 sentences x 79 frames at 1080p are 2.6 GB as arrays and about 2 MB as run lengths.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from submission.dataset.rle import (
    Integers,
    decode,
    encode,
    encode_ends,
    encode_packed,
    read_edges,
    read_item,
)
from submission.masks.label_runs import Windows, union


class Track:
    """Masks of equal size (height, width), in the order of the video's frames. Never changes.

    `counts` are COCO's compressed run lengths of each frame, `edges` the pixels at which foreground
    begins and ends in turn, over all frames; each is made from the other when it is asked for.
    """

    size: tuple[int, int]

    def __init__(self, size: tuple[int, int], counts: tuple[bytes, ...]) -> None:
        self.size = size
        self._length = len(counts)
        self.counts = counts

    @staticmethod
    def from_edges(size: tuple[int, int], num_frames: int, edges: Integers) -> "Track":
        """Return the track with these edges, int (2N,); none goes on from frame to frame."""
        track = Track.__new__(Track)
        track.size, track._length, track.edges = size, num_frames, edges
        return track

    @cached_property
    def counts(self) -> tuple[bytes, ...]:
        """COCO's compressed run lengths of each frame."""
        pixels = self.size[0] * self.size[1]
        first = np.arange(len(self)) * pixels
        bounds = np.searchsorted(self.edges[::2], np.append(first, len(self) * pixels))
        return tuple(
            _write(self.edges[2 * begin : 2 * end] - start, pixels)
            for start, begin, end in zip(first, bounds[:-1], bounds[1:], strict=True)
        )

    @cached_property
    def edges(self) -> Integers:
        """Pixels, counted by columns and frame after frame, int (2N,)."""
        return read_edges(self.counts, self.size)

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
        return Track.from_edges(size, num_frames, np.empty(0, np.int64))

    @staticmethod
    def union(tracks: Sequence["Track"], size: tuple[int, int], num_frames: int) -> "Track":
        """Return what any of the tracks covers; without tracks it is empty."""
        edges = union([track.edges for track in tracks], size, num_frames)
        return Track.from_edges(size, num_frames, edges)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[NDArray[np.bool_]]:
        """Give the masks one by one, bool (H, W)."""
        return (self.frame(index) for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Whether all masks are equal, however their run lengths are written."""
        if not isinstance(other, Track):
            return NotImplemented
        alike = self.size == other.size and len(self) == len(other)
        return alike and np.array_equal(self.edges, other.edges)

    __hash__ = None  # type: ignore[assignment]

    def frame(self, index: int) -> NDArray[np.bool_]:
        """Return one mask, bool (H, W), stored by columns."""
        return decode(self.counts[index], self.size)

    def windows(self, *, align: int = 1, margin: int = 0) -> Windows:
        """Return the parts of the masks that have foreground; `Windows` says what these are."""
        return Windows(self.edges, self.size, len(self), align=align, margin=margin)

    def decode(self) -> NDArray[np.bool_]:
        """Return all masks, bool (T, H, W)."""
        masks = np.empty((len(self), *self.size), dtype=np.bool_)
        for index in range(len(self)):
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
        return not len(self.edges)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the masks as COCO writes them: `{"size": [h, w], "counts": text}` each."""
        return [{"size": list(self.size), "counts": text.decode()} for text in self.counts]

    @staticmethod
    def from_json(items: Any, size: tuple[int, int]) -> "Track":
        """Return the track of a `to_json` list; raise ValueError, with a reason, if damaged."""
        if not isinstance(items, list) or not items:
            raise ValueError("masks must be a list with one mask for each frame")
        track = Track(size, tuple(read_item(item, size) for item in items))
        track.edges  # noqa: B018 - reading them is the check
        return track


def _write(edges: Integers, pixels: int) -> bytes:
    """Return the counts of one mask, whose edges count from its own first pixel."""
    foreground_first = bool(edges.size and edges[0] == 0)
    inner = edges[foreground_first:]
    ends = inner if inner.size and inner[-1] == pixels else np.append(inner, pixels)
    return encode_ends(ends, foreground_first)
