"""Enlarged mask logits become bits, on the device; only bits cross the bus to the host."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from submission.model.answer import PackedMasks
from submission.model.tracking import is_foreground


class MaskStack:
    """The masks of B objects over a video of shape (T, H, W), filled frame by frame."""

    def __init__(self, objects: int, shape: tuple[int, ...]) -> None:
        frames, height, width = shape
        self.width = width
        self.bits = np.zeros((objects, frames, height, (width + 7) // 8), np.uint8)

    def draw(self, time: int, logits: Tensor) -> None:
        """Keep one frame's masks, given as logits (B, 1, H, W) at the frame's size."""
        self.bits[:, time] = pack_bits(is_foreground(logits[:, 0]))

    def masks(self) -> list[PackedMasks]:
        """The masks of each object; they share this stack's memory."""
        return [PackedMasks(bits, self.width) for bits in self.bits]


def pack_bits(masks: Tensor) -> NDArray[np.uint8]:
    """Pack bool (B, H, W) into uint8 (B, H, ceil(W / 8)), first pixel in the highest bit."""
    if masks.device.type == "cpu":
        return np.packbits(masks.numpy(), axis=-1)
    width = masks.shape[-1]
    padded = torch.nn.functional.pad(masks.to(torch.uint8), (0, -width % 8))
    weights = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=masks.device)
    packed = padded.view(*padded.shape[:-1], -1, 8) * weights
    host: NDArray[np.uint8] = packed.sum(dim=-1, dtype=torch.uint8).cpu().numpy()
    return host
