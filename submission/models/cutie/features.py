"""What Cutie sees of a frame, computed once for all candidates and both directions."""

from typing import Any

import torch
from torch import Tensor, nn

Features = tuple[tuple[Tensor, ...], Tensor, Tensor, Tensor, Tensor]


class FrameFeatures:
    """Features of the frames of one video, at most `budget_bytes` of them kept.

    They depend on the frame, on max_internal_size and on flip, and on no mask: one of these serves
    every candidate of one video and one setting. Beyond the budget they are computed again.
    """

    def __init__(self, network: nn.Module, budget_bytes: float) -> None:
        self.encoded = 0  # frames, those that were encoded again counted again
        self.kept_bytes = 0
        self._network: Any = network
        self._budget_bytes = budget_bytes
        self._kept: dict[int, Features] = {}
        self._latest: tuple[int, Features] | None = None

    def at(self, time: int, image: Tensor) -> Features:
        """Return the features of a frame; `image` is (1 or 2, 3, H, W), padded, in 0 to 1.

        Strides 16, 8 and 4; pixel features, key, shrinkage and selection at stride 16.
        """
        if time in self._kept:
            return self._kept[time]
        if self._latest is None or self._latest[0] != time:
            several, pixels = self._network.encode_image(image)
            self._latest = time, (several, pixels, *self._network.transform_key(several[0]))
            self.encoded += 1
        return self._latest[1]

    def keep(self, time: int) -> None:
        """Keep the frame that was asked for last, if it still fits; it will be asked for again."""
        if self._latest is None or self._latest[0] != time or time in self._kept:
            return
        size = sum(map(_bytes, _tensors(self._latest[1])))
        if self.kept_bytes + size <= self._budget_bytes:
            self._kept[time] = self._latest[1]
            self.kept_bytes += size

    def drop(self, time: int) -> None:
        """Let go of a frame that nobody will ask for again."""
        if (features := self._kept.pop(time, None)) is not None:
            self.kept_bytes -= sum(map(_bytes, _tensors(features)))

    def close(self) -> None:
        """Let go of everything."""
        self._kept.clear()
        self._latest = None
        self.kept_bytes = 0


class FeaturesOfStep:
    """What the package takes for its store, which knows steps and no frames."""

    def __init__(self, features: FrameFeatures) -> None:
        self.time = 0  # of the frame that the next step is about
        self._features = features

    def get_features(self, step: int, image: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """The features of three strides, and the pixel features."""
        return self._features.at(self.time, image)[:2]

    def get_key(self, step: int, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Key, shrinkage and selection."""
        return self._features.at(self.time, image)[2:]

    def delete(self, step: int) -> None:
        """Nothing: what is kept is for others, too."""


def _tensors(features: Features) -> list[Tensor]:
    return [*features[0], *features[1:]]


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def frame_as_image(frame: Any, device: torch.device) -> Tensor:
    """Return an RGB frame, uint8 (H, W, 3), as float32 (3, H, W) in 0 to 1 on `device`."""
    return torch.from_numpy(frame).to(device).permute(2, 0, 1).float() / 255
