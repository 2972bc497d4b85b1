"""Image features of a video's frames: each encoded once, a few at a time, in a given order."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from submission.model.grounding import GroundingNetwork, ImageFeatures, preprocess


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
        for start in range(0, len(times), self.images_at_once):
            part = times[start : start + self.images_at_once]
            if all(time in self._kept for time in part):
                yield from ((time, _move(self._kept[time], self.device)) for time in part)
                continue
            encoded = self._encode(part)
            if self.keep:
                host = torch.device("cpu")
                self._kept |= {t: _move(seen, host) for t, seen in zip(part, encoded, strict=True)}
            yield from zip(part, encoded, strict=True)

    def _encode(self, times: Sequence[int]) -> list[ImageFeatures]:
        size = self.network.config.image_size
        pixels = preprocess([self.frames[time] for time in times], size)
        return self.network.encode_images(pixels.to(self.device, self.dtype))


def _move(features: ImageFeatures, device: torch.device) -> ImageFeatures:
    # A slice of a batch is copied out of it, or the whole batch would be kept with it.
    levels = (features.stride4, features.stride8, features.stride16)
    return ImageFeatures(*(level.to(device).clone() for level in levels))
