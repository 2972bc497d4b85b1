"""Key frames in, visual tokens out: InternViT, pixel shuffle, projector.

A function of pixels alone: the visual tokens of a frame are the same for every sentence.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import InternVLVisionConfig, InternVLVisionModel

from submission.video.transforms import Squash

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class VisionTokenizer(nn.Module):
    """InternViT without a final norm, then 2 x 2 pixel shuffle and a two-layer projector."""

    def __init__(self, config: InternVLVisionConfig, llm_size: int) -> None:
        super().__init__()
        size = config.hidden_size
        self.encoder = InternVLVisionModel(config)
        self.projector = nn.Sequential(
            nn.LayerNorm(4 * size), nn.Linear(4 * size, llm_size), nn.GELU(),
            nn.Linear(llm_size, llm_size),
        )  # fmt: skip
        if config.use_qk_norm:
            for name, module in self.encoder.named_modules():
                if name.endswith(("attention.q_norm", "attention.k_norm")):
                    # The library fixes this epsilon; the checkpoint states it.
                    module.variance_epsilon = config.layer_norm_eps

    def forward(self, pixels: Tensor) -> Tensor:
        """Turn pixels (M, 3, S, S), normalised, into visual tokens (M, P, C).

        P is (S / patch / 2) ** 2, row-major; C is the language model's hidden size.
        """
        states = self.encoder(pixels).last_hidden_state[:, 1:]  # (M, G*G, d): no class token
        return self.projector(shuffle_pixels(states))  # type: ignore[no-any-return]


def shuffle_pixels(states: Tensor) -> Tensor:
    """Join 2 x 2 neighbours: (M, G*G, d) -> (M, (G/2)**2, 4d), channels in row-major order."""
    frames, cells, size = states.shape
    half = round(cells**0.5) // 2
    grid = states.view(frames, half, 2, half, 2, size)
    return grid.permute(0, 1, 3, 2, 4, 5).reshape(frames, half * half, 4 * size)


def preprocess(frames: Sequence[NDArray[np.uint8]], size: int) -> Tensor:
    """Squash RGB frames (H, W, 3) to float32 (M, 3, size, size), ImageNet-normalised."""
    return normalise(resize(frames, size))


def normalise(squares: NDArray[np.uint8]) -> Tensor:
    """Turn uint8 RGB (M, S, S, 3) into float32 (M, 3, S, S), ImageNet-normalised."""
    pixels = torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD).view(3, 1, 1)
    return (pixels - mean) / std


def resize(frames: Sequence[NDArray[np.uint8]], size: int) -> NDArray[np.uint8]:
    """Squash RGB frames to (M, size, size, 3) uint8, bicubic, without keeping the aspect."""
    return np.stack([Squash(size)(frame) for frame in frames])
