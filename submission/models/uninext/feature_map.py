"""Where the tokens of an image lie: the flattened feature maps, their padding and positions."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

# Sine positions as in DETR: angles of a full turn over the image, 128 values for each coordinate.
TURN, TEMPERATURE = 2 * math.pi, 10000
TINY = 1e-6


@dataclass(frozen=True)
class FeatureMaps:
    """Flattened feature maps of one image, S tokens over L levels.

    `filled` is the share of each map's width and height that is not padding.
    """

    sizes: tuple[tuple[int, int], ...]  # (h, w) of each level
    table: Tensor  # (L, 2), the same
    valid: Tensor  # (S,) bool, False on padding
    filled: Tensor  # (L, 2), x then y
    positions: Tensor  # (S, C)
    centres: Tensor  # (S, 2), x then y, in parts of the image without its padding
    extents: Tensor  # (S, 2), side of a first guess of a box, in the same parts

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """First token of each level and the one after its last."""
        ends = [0]
        for height, width in self.sizes:
            ends.append(ends[-1] + height * width)
        return tuple(pairwise(ends))


def lay_out(
    sizes: tuple[tuple[int, int], ...],
    padded: tuple[int, int],
    image: tuple[int, int],
    width: int,
    device: torch.device,
) -> FeatureMaps:
    """Lay out the tokens of an image of size `image` (h, w), padded below and on the right.

    `width` is the number of channels C. The mask of the last level is taken from that of the first,
    as in the published code: there the level is made from the coarsest map of the backbone.
    """
    whole = torch.zeros(1, 1, *padded, device=device)
    whole[..., : image[0], : image[1]] = 1
    inside = [F.interpolate(whole, size=size) for size in sizes[:-1]]
    inside.append(F.interpolate(inside[0], size=sizes[-1]))
    filled, positions, centres, extents = [], [], [], []
    for level, (height, across) in enumerate(sizes):
        mask = inside[level][0, 0]
        rows, columns = mask[:, 0].sum(), mask[0].sum()
        filled.append(torch.stack([columns / across, rows / height]))
        positions.append(_sine_positions(mask, width // 2))
        y = (torch.arange(height, device=device) + 0.5) / rows
        x = (torch.arange(across, device=device) + 0.5) / columns
        centre = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
        centres.append(centre)
        extents.append(torch.full_like(centre, 0.05 * 2.0**level))
    return FeatureMaps(
        sizes=sizes,
        table=torch.tensor(sizes, device=device),
        valid=torch.cat([mask.flatten() > 0 for mask in inside]),
        filled=torch.stack(filled),
        positions=torch.cat(positions),
        centres=torch.cat(centres),
        extents=torch.cat(extents),
    )


def _sine_positions(inside: Tensor, width: int) -> Tensor:
    """Positions (h * w, 2 * width) of a map, from its mask (h, w): y, then x."""
    coordinates = []
    for axis in (0, 1):
        counted = inside.cumsum(axis)
        last = counted[-1:] if axis == 0 else counted[:, -1:]
        coordinates.append((counted - 0.5) / (last + TINY))
    return torch.cat([sine(coordinate, width) for coordinate in coordinates], -1).flatten(0, 1)


def sine(values: Tensor, width: int) -> Tensor:
    """Values (...), in parts of the image, to (..., width): sine and cosine by turns."""
    powers = torch.arange(width, dtype=torch.float32, device=values.device) // 2 * 2 / width
    angles = (values * TURN)[..., None] / TEMPERATURE**powers
    return torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], -1).flatten(-2)
