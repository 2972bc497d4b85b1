"""Enlarged mask logits become bits, on the device; only bits cross the bus to the host.

The bits of a frame are fetched when those of the next one are drawn: a GPU has the next frame's
work in its queue by then, and does not wait for the host.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from submission.models.sa2va.answer import PackedMasks
from submission.models.sam2.tracker import is_foreground


class MaskStack:
    """The masks of B objects over a video of shape (T, H, W), filled frame by frame."""

    def __init__(self, objects: int, shape: tuple[int, ...]) -> None:
        frames, height, width = shape
        self.width = width
        self.bits = np.zeros((objects, frames, height, (width + 7) // 8), np.uint8)
        self._on_its_way: tuple[int, Tensor, torch.cuda.Event | None] | None = None

    def draw(self, time: int, logits: Tensor) -> None:
        """Keep one frame's masks, given as logits (B, 1, H, W) at the frame's size."""
        sent = send_to_host(pack_bits(is_foreground(logits[:, 0])))
        self._receive()
        self._on_its_way = (time, *sent)

    def masks(self) -> list[PackedMasks]:
        """The masks of each object; they share this stack's memory."""
        self._receive()
        return [PackedMasks(bits, self.width) for bits in self.bits]

    def _receive(self) -> None:
        if self._on_its_way is not None:
            time, packed, arrived = self._on_its_way
            if arrived is not None:
                arrived.synchronize()
            self.bits[:, time] = packed.numpy()
            self._on_its_way = None


def enlarge(logits: Tensor, side: int, size: tuple[int, int]) -> Tensor:
    """Enlarge mask logits (B, 1, h, w) to a frame of `size`, through SAM 2's square of `side`.

    Two bilinear steps, because the reference has two; one would move boundaries.
    """
    square = F.interpolate(logits, (side, side), mode="bilinear", align_corners=False)
    return F.interpolate(square, size, mode="bilinear", align_corners=False)


def pack_bits(masks: Tensor) -> Tensor:
    """Pack bool (B, H, W) into uint8 (B, H, ceil(W / 8)), first pixel in the highest bit."""
    if masks.device.type == "cpu":
        return torch.from_numpy(np.packbits(masks.numpy(), axis=-1))
    return add_up_bits(masks)


def add_up_bits(masks: Tensor) -> Tensor:
    """Do the same with operations that every device has."""
    padded = F.pad(masks.to(torch.uint8), (0, -masks.shape[-1] % 8))
    groups = padded.view(*padded.shape[:-1], -1, 8)
    places = torch.arange(7, -1, -1, dtype=torch.uint8, device=masks.device)
    return (groups << places).sum(dim=-1, dtype=torch.uint8)


def send_to_host(packed: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    """Begin to copy a GPU's tensor into pinned memory; the event tells when it has arrived."""
    if packed.device.type != "cuda":
        return packed.cpu(), None
    host = torch.empty(packed.shape, dtype=packed.dtype, pin_memory=True)
    host.copy_(packed, non_blocking=True)
    return host, torch.cuda.current_stream(packed.device).record_event()
