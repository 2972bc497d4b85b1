"""Image features of a video's frames: each encoded once, and kept while somebody needs them again.

Frames are encoded in fixed groups of neighbours, whoever asks for whichever of them in whatever
order. So a frame's features depend on the video and `images_at_once` alone, and several readers
(groups of objects, experts) get the same bytes as each would alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor

from submission.models.sam2.fixed_parts import EAGER, FixedParts
from submission.models.sam2.network import (
    GroundingNetwork,
    ImageFeatures,
    normalise,
    split_frames,
)
from submission.models.workload import BATCHES_AHEAD, stays_on_gpu
from submission.video.frame_loader import FrameLoader
from submission.video.transforms import FrameRequest, Squash

ROOM = 8 << 30  # bytes: 195 frames at the released size in bfloat16, 44 MB each


@dataclass(frozen=True)
class Keeping:
    """How long features are kept, and how much of them."""

    room: int = ROOM  # bytes, on the GPU and in host memory together
    shared: bool = False  # others will ask for the same frames when this reader is done


class Beside:
    """Work that a GPU does beside its current stream, on one of its own; no other device can."""

    def __init__(self, device: torch.device) -> None:
        self.is_there = device.type == "cuda"
        self.device = device
        self._runs = False

    def run(self, work: Callable[[], ImageFeatures]) -> ImageFeatures:
        """Launch some work, after all that the current stream was given before the first."""
        stream = _second_stream(self.device)
        if not self._runs:
            stream.wait_stream(torch.cuda.current_stream(self.device))
            self._runs = True
        with torch.cuda.stream(stream):
            return work()

    def join(self, made: Iterable[Tensor]) -> None:
        """Let the current stream go on after this work, and read the tensors it made."""
        if not self._runs:
            return
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(_second_stream(self.device))
        for tensor in made:
            tensor.record_stream(current)  # its memory is used again after this stream, too
        self._runs = False


@cache
def _second_stream(device: torch.device) -> torch.cuda.Stream:
    """One for the whole process: libraries keep a workspace for each stream they meet."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


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
        self._begun: dict[int, ImageFeatures] = {}  # batches by their first frame, encoded ahead
        self._beside = Beside(device)
        self._kept: dict[int, ImageFeatures] = {}
        self._finished: set[int] = set()  # frames that nobody will ask for again
        self._latest: dict[int, ImageFeatures] = {}  # the group encoded last, on the device

    @property
    def side(self) -> int:
        """Side in pixels of the squares that the image encoder sees."""
        return self.network.config.image_size

    def begin(self, times: Iterable[int]) -> None:
        """Begin with the frames that will be asked for, in this order, before they are.

        Their images are made ahead; and where a video's features stay on the GPU, it encodes some
        beside what it is given meanwhile, until `join`.
        """
        starts = self._missing(times)
        self.loader.prefetch(self._request(self._group(start)) for start in starts)
        if not self._beside.is_there or not self._stay():
            return
        for start in starts[:BATCHES_AHEAD]:
            self._begun[start] = self._beside.run(partial(self._levels, self._group(start)))

    def join(self) -> None:
        """What the device is given from here on runs after all that was begun.

        Also where nothing of it is here, because memory ran out in the middle of a batch: a part of
        it that was recorded is in memory that is replayed into next.
        """
        self._beside.join(level for one in self._begun.values() for level in _levels(one))

    def each(self, times: Sequence[int], *, again: bool) -> Iterator[tuple[int, ImageFeatures]]:
        """Give the features of the frames at `times`, in this order.

        `again` says that this reader will ask for these frames once more.
        """
        self.loader.prefetch(self._request(self._group(start)) for start in self._missing(times))
        for time in times:
            if time not in self._kept and time not in self._latest:
                self._encode(self._group(self._start(time)))
            seen = self._latest.get(time) or _on(self._kept[time], self.device)
            if not (again or self.keeping.shared):
                self._finish(time)
            yield time, seen

    def close(self) -> None:
        """Let go of everything."""
        self.join()
        self._begun.clear()
        self._latest.clear()
        self._kept.clear()
        self.held = 0

    def _missing(self, times: Iterable[int]) -> list[int]:
        """The first frames of the groups that these frames need, and that are not there."""
        here = self._kept.keys() | self._latest.keys()
        starts = dict.fromkeys(self._start(time) for time in times if time not in here)
        return [start for start in starts if start not in self._begun]

    def _start(self, time: int) -> int:
        return time - time % self.images_at_once

    def _group(self, start: int) -> range:
        return range(start, min(start + self.images_at_once, self.loader.shape[0]))

    def _request(self, group: Sequence[int]) -> FrameRequest:
        return FrameRequest(tuple(group), Squash(self.side))

    def _encode(self, group: Sequence[int]) -> None:
        self._put_aside()
        levels = self._begun.pop(group[0], None) or self._levels(group)
        self._latest = dict(zip(group, split_frames(levels), strict=True))

    def _levels(self, group: Sequence[int]) -> ImageFeatures:
        """Encode a group of frames, all in one."""
        self.encoded += len(group)
        seen = normalise(self._pixels(group)).to(self.dtype)
        return self.parts.run(self.network.encode_levels, seen)

    def _pixels(self, group: Sequence[int]) -> Tensor:
        """Frames on the device, uint8; a GPU goes on with what it has in its queue meanwhile."""
        request = self._request(group)
        if self.device.type != "cuda":
            return torch.from_numpy(self.loader.frames(request)).to(self.device)
        size = (len(group), self.side, self.side, 3)
        pinned = torch.empty(size, dtype=torch.uint8, pin_memory=True)
        self.loader.frames(request, pinned.numpy())
        return pinned.to(self.device, non_blocking=True)

    def _put_aside(self) -> None:
        """Keep what of the latest group is still to be read, as far as there is room."""
        for time, seen in self._latest.items():
            cost = _bytes(seen)
            has_room = self.held + cost <= self.keeping.room
            if has_room and time not in self._kept and time not in self._finished:
                # A slice of a batch is copied out of it, or the whole batch would be kept with it.
                self._kept[time] = _on(seen, self._place(), copy=len(self._latest) > 1)
                self.held += cost
        self._latest = {}

    def _place(self) -> torch.device:
        """Where the features of this video are kept: on the device, or in host memory."""
        on_gpu = self.device.type == "cuda"
        return self.device if not on_gpu or self._stay() else torch.device("cpu")

    def _stay(self) -> bool:
        """Whether the features of the whole video stay on the GPU, or on this process's share."""
        total = torch.cuda.get_device_properties(self.device).total_memory
        share = torch.cuda.get_per_process_memory_fraction(self.device.index)
        one = self.network.config.feature_values * self.dtype.itemsize
        return stays_on_gpu(one * self.loader.shape[0], share * total)

    def _finish(self, time: int) -> None:
        self._finished.add(time)
        if (seen := self._kept.pop(time, None)) is not None:
            self.held -= _bytes(seen)


def _levels(features: ImageFeatures) -> tuple[Tensor, Tensor, Tensor]:
    return features.stride4, features.stride8, features.stride16


def _bytes(features: ImageFeatures) -> int:
    return sum(level.numel() * level.element_size() for level in _levels(features))


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
