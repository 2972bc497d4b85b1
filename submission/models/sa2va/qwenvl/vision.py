"""An image in, visual tokens out: patches, and the vision encoders of transformers.

Both encoders look at one image at a time; Qwen2.5-VL's most layers look within windows of it, and
Qwen3-VL's hands out features of some layers (DeepStack) beside its tokens.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import vision_utils

TIMES = 2  # an image stands for two frames: the encoders read pairs


@dataclass(frozen=True)
class Seen:
    """What the encoder makes of an image of P tokens, C the language model's hidden size."""

    tokens: Tensor  # (P, C), row-major
    deep: tuple[Tensor, ...]  # (P, C) each: added after the language model's first layers

    @property
    def nbytes(self) -> int:
        """What it takes."""
        return sum(one.nbytes for one in (self.tokens, *self.deep))


def levels(mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """Return the value (3, 256) of each grey level of each channel, float32.

    In the steps of the reference's processor, so that no last bit differs.
    """
    scaled = (np.arange(256, dtype=np.float64) * (1 / 255)).astype(np.float32)
    middle, spread = np.array(mean, np.float32), np.array(std, np.float32)
    return (scaled[None] - middle[:, None]) / spread[:, None]


def cut(image: NDArray[np.uint8], values: NDArray[np.float32], patch: int, merge: int) -> Tensor:
    """Cut an image (h, w, 3) into patches (h/patch * w/patch, 3 * 2 * patch * patch), float32.

    Patches of one cell follow each other, cells row by row; in a patch: channel, time, row, column.
    """
    planes = np.stack([values[channel][image[..., channel]] for channel in range(3)])
    rows, columns = (side // (merge * patch) for side in image.shape[:2])
    grid = planes.reshape(3, rows, merge, patch, columns, merge, patch)
    patches = grid.transpose(1, 4, 2, 5, 0, 3, 6)[:, :, :, :, :, None]
    pairs = np.repeat(patches, TIMES, axis=5)
    return torch.from_numpy(pairs.reshape(rows * columns * merge**2, -1))


def see(encoder: nn.Module, patches: Tensor, grid: tuple[int, int]) -> Seen:
    """Let the encoder read the patches of one image, `grid` rows and columns of them."""
    config: Any = encoder.config
    sides = torch.tensor([[1, *grid]])
    made: dict[str, Tensor] = {}
    places = vision_utils.get_vision_position_ids(sides, config.spatial_merge_size)
    made["position_ids"] = places.to(patches.device)
    if hasattr(config, "fullatt_block_indexes"):
        order, ends = vision_utils.get_vision_window_index(
            sides, config.spatial_merge_size, config.window_size, config.patch_size
        )
        made |= {"window_index": order.to(patches.device), "cu_window_seqlens": ends}
    else:
        side = round(config.num_position_embeddings**0.5)
        taps, weights = vision_utils.get_vision_interpolation_indices_and_weights(
            sides, side, align_corners=True, spatial_merge_size=config.spatial_merge_size
        )
        made["interp_indices"] = taps.to(patches.device)
        made["interp_weights"] = weights.to(patches.device)
    output = encoder(patches, grid_thw=sides, **made)
    return Seen(output.pooler_output, tuple(getattr(output, "deepstack_features", None) or ()))
