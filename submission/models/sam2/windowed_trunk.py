"""The image encoder's trunk, Hiera, whose tokens stay in windows from block to block."""

from functools import partial
from typing import Any

from sam2.modeling.backbones.hieradet import Hiera, MultiScaleBlock, do_pool
from sam2.modeling.backbones.utils import window_partition, window_unpartition
from torch import Tensor

from submission.models.sam2.fast_layers import Tables


class QuickHiera(Hiera):  # type: ignore[misc]
    """Equal to the library's trunk, with the same parameters, and fewer copies.

    The library cuts the map into windows before each block and puts it together behind it: two
    copies a block, 90 in Hiera-L's. Nothing but attention asks where a token lies, the blocks of a
    stage have equal windows, and where a stage begins, pooling halves the map and the windows
    alike. So the map is cut where windows change, and put together for attention to all of it and
    at the end of a stage: 12 copies. The position table is enlarged once, not for every batch.
    """

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self._tables = Tables()

    def _get_pos_embed(self, hw: tuple[int, int]) -> Tensor:
        make = partial(super()._get_pos_embed, hw)
        return self._tables.of(tuple(hw), (self.pos_embed, self.pos_embed_window), make)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Pixels (B, 3, H, W) in, a map (B, C, h, w) of each stage out."""
        x = self.patch_embed(x)
        size, window = (x.shape[1], x.shape[2]), 0  # of the map; 0: it is put together
        x = x + self._get_pos_embed(size)
        levels = []
        for number, block in enumerate(self.blocks):
            wanted = block.window_size if _fit(block.window_size, size) else 0
            if wanted != window:
                x = _put_together(x, window, size)
                x = window_partition(x, wanted)[0] if wanted else x
            if wanted == block.window_size:
                x = _attend(block, x)
                x = x + block.drop_path(block.mlp(block.norm2(x)))
            else:
                x = block(x)
            step = block.q_stride[0] if block.q_stride else 1
            size, window = (size[0] // step, size[1] // step), wanted // step
            if number in self.stage_ends:
                levels.append(_put_together(x, window, size).permute(0, 3, 1, 2))
        return levels


def _attend(block: MultiScaleBlock, x: Tensor) -> Tensor:
    """Attention of windows (n, w, w, C), each to itself; a map is one large window."""
    normed = block.norm1(x)
    kept = x if block.dim == block.dim_out else do_pool(block.proj(normed), block.pool)
    seen: Tensor = kept + block.drop_path(block.attn(normed))
    return seen


def _fit(window: int, size: tuple[int, int]) -> bool:
    """Whether windows fill a map; else the library's block pads it."""
    return window > 0 and not any(side % window for side in size)


def _put_together(x: Tensor, window: int, size: tuple[int, int]) -> Tensor:
    """Windows (n, w, w, C) as the map (B, H, W, C) that they are of."""
    whole: Tensor = window_unpartition(x, window, size, size) if window else x
    return whole
