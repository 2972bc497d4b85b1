"""Image features of a video's frames: each encoded once, a few at a time, in a given order."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from submission.model.grounding import GroundingNetwork, ImageFeatures, normalise
from submission.model.vision import resize

RESIZERS = 2  # threads; Pillow resizes outside the interpreter lock


class FrameFeatures:
    """Encodes frames (T, H, W, 3) on demand.

    Without `keep` a frame's features live as long as their reader needs them, and no frame may be
    asked for twice; with it they wait in host memory, 8 MB a frame at the released size.
    """

    def __init__(
        self,
        network: GroundingNetwork,
        frames: NDArray[np.uint8],
        device: torch.device,
        dtype: torch.dtype,
        images_at_once: int,
        *,
        keep: bool,
    ) -> None:
        self.network = network
        self.frames = frames
        self.device = device
        self.dtype = dtype
        self.images_at_once = images_at_once
        self.keep = keep
        self._kept: dict[int, ImageFeatures] = {}

    def each(self, times: Sequence[int]) -> Iterator[tuple[int, ImageFeatures]]:
        """Give the features of the frames at `times`, in this order."""
        if all(time in self._kept for time in times):
            yield from ((time, _move(self._kept[time], self.device)) for time in times)
            return
        for part, pixels in self._resized_ahead(times):
            encoded = self.network.encode_images(
                normalise(torch.from_numpy(pixels).to(self.device)).to(self.dtype)
            )
            if self.keep:
                host = torch.device("cpu")
                self._kept |= {t: _move(seen, host) for t, seen in zip(part, encoded, strict=True)}
            yield from zip(part, encoded, strict=True)

    def _resized_ahead(
        self, times: Sequence[int]
    ) -> Iterator[tuple[Sequence[int], NDArray[np.uint8]]]:
        """Resize the next frames in threads while the network works on these."""
        step, size = self.images_at_once, self.network.config.image_size
        parts = [times[start : start + step] for start in range(0, len(times), step)]
        with ThreadPoolExecutor(RESIZERS) as pool:
            waiting: deque[Future[NDArray[np.uint8]]] = deque()
            for index, part in enumerate(parts):
                while len(waiting) <= RESIZERS and index + len(waiting) < len(parts):
                    ahead = parts[index + len(waiting)]
                    waiting.append(pool.submit(resize, [self.frames[t] for t in ahead], size))
                yield part, waiting.popleft().result()


def _move(features: ImageFeatures, device: torch.device) -> ImageFeatures:
    # A slice of a batch is copied out of it, or the whole batch would be kept with it.
    levels = (features.stride4, features.stride8, features.stride16)
    return ImageFeatures(*(level.to(device).clone() for level in levels))
