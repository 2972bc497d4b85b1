"""Image features of a video's frames: each encoded once, and kept while somebody needs them again.

Frames are encoded in fixed groups of neighbours, whoever asks for whichever of them in whatever
order. So a frame's features depend on the video and `images_at_once` alone, and several readers
(groups of objects, experts) get the same bytes as each would alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from submission.models.sam2.fixed_parts import EAGER, FixedParts
from submission.models.sam2.network import (
    GroundingNetwork,
    ImageFeatures,
    normalise,
    split_frames,
)
from submission.video.frame_loader import FrameLoader
from submission.video.transforms import FrameRequest, Squash

ROOM = 8 << 30  # bytes: 195 frames at the released size in bfloat16, 44 MB each
GPU_SHARE = 20  # a video whose features take at most 1/20 of a GPU's memory keeps them there


@dataclass(frozen=True)
class Keeping:
    """How long features are kept, and how much of them."""

    room: int = ROOM  # bytes, on the GPU and in host memory together
    shared: bool = False  # others will ask for the same frames when this reader is done


class FrameFeatures:
    """Encodes the frames of `loader` on demand.

    Features are kept while there is room, until their last reader had them; a frame that found no
    room is encoded again when it is asked for again. So the room bounds memory and never what comes
    out.
    """

    def __init__(
        self,
        network: GroundingNetwork,
        loader: FrameLoader,
        device: torch.device,
        dtype: torch.dtype,
        images_at_once: int,
        keeping: Keeping | None = None,
        parts: FixedParts = EAGER,
    ) -> None:
        self.network = network
        self.parts = parts
        self.loader = loader
        self.device = device
        self.dtype = dtype
        self.images_at_once = images_at_once
        self.keeping = keeping or Keeping()
        self.encoded = 0  # frames, each time they were encoded
        self.held = 0  # bytes that are kept for later
        self._kept: dict[int, ImageFeatures] = {}
        self._finished: set[int] = set()  # frames that nobody will ask for again
        self._latest: dict[int, ImageFeatures] = {}  # the group encoded last, on the device

    @property
    def side(self) -> int:
        """Side in pixels of the squares that the image encoder sees."""
        return self.network.config.image_size

    def each(self, times: Sequence[int], *, again: bool) -> Iterator[tuple[int, ImageFeatures]]:
        """Give the features of the frames at `times`, in this order.

        `again` says that this reader will ask for these frames once more.
        """
        here = self._kept.keys() | self._latest.keys()
        starts = dict.fromkeys(self._start(time) for time in times if time not in here)
        self.loader.prefetch(self._request(self._group(start)) for start in starts)
        for time in times:
            if time not in self._kept and time not in self._latest:
                self._encode(self._group(self._start(time)))
            seen = self._latest.get(time) or _on(self._kept[time], self.device)
            if not (again or self.keeping.shared):
                self._finish(time)
            yield time, seen

    def close(self) -> None:
        """Let go of everything."""
        self._latest.clear()
        self._kept.clear()
        self.held = 0

    def _start(self, time: int) -> int:
        return time - time % self.images_at_once

    def _group(self, start: int) -> range:
        return range(start, min(start + self.images_at_once, self.loader.shape[0]))

    def _request(self, group: Sequence[int]) -> FrameRequest:
        return FrameRequest(tuple(group), Squash(self.side))

    def _encode(self, group: Sequence[int]) -> None:
        self._put_aside()
        pixels = _upload(torch.from_numpy(self.loader.frames(self._request(group))), self.device)
        seen = normalise(pixels).to(self.dtype)
        levels = self.parts.run(self.network.encode_levels, seen)
        self.encoded += len(group)
        self._latest = dict(zip(group, split_frames(levels), strict=True))

    def _put_aside(self) -> None:
        """Keep what of the latest group is still to be read, as far as there is room."""
        for time, seen in self._latest.items():
            cost = _bytes(seen)
            has_room = self.held + cost <= self.keeping.room
            if has_room and time not in self._kept and time not in self._finished:
                # A slice of a batch is copied out of it, or the whole batch would be kept with it.
                self._kept[time] = _on(seen, self._place(seen), copy=len(self._latest) > 1)
                self.held += cost
        self._latest = {}

    def _place(self, one: ImageFeatures) -> torch.device:
        """Where the features of this video are kept: on the device, or in host memory."""
        if self.device.type != "cuda":
            return self.device
        total = torch.cuda.get_device_properties(self.device).total_memory
        is_small = _bytes(one) * self.loader.shape[0] <= total // GPU_SHARE
        return self.device if is_small else torch.device("cpu")

    def _finish(self, time: int) -> None:
        self._finished.add(time)
        if (seen := self._kept.pop(time, None)) is not None:
            self.held -= _bytes(seen)


def _levels(features: ImageFeatures) -> tuple[Tensor, Tensor, Tensor]:
    return features.stride4, features.stride8, features.stride16


def _bytes(features: ImageFeatures) -> int:
    return sum(level.numel() * level.element_size() for level in _levels(features))


def _upload(pixels: Tensor, device: torch.device) -> Tensor:
    """Send frames to the device; a GPU goes on with what it has in its queue meanwhile."""
    if device.type != "cuda":
        return pixels.to(device)
    return pixels.pin_memory().to(device, non_blocking=True)


def _on(features: ImageFeatures, place: torch.device, *, copy: bool = False) -> ImageFeatures:
    """Return the features at `place`; between a GPU and host memory without waiting.

    Host memory is pinned then, and only the GPU reads it, in the order of its stream.
    """
    return ImageFeatures(*(_moved(level, place, copy) for level in _levels(features)))


def _moved(level: Tensor, place: torch.device, copy: bool) -> Tensor:
    if level.device.type == place.type:
        return level.clone() if copy else level
    if place.type == "cpu":
        # With the strides of the original: layers that read it choose their kernel by them.
        host = torch.empty_like(level, device=place, pin_memory=True)
        return host.copy_(level, non_blocking=True)
    return level.to(place, non_blocking=True)
