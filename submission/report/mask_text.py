"""The masks of one sentence as a short text for the page, in a grid as fine as its size allows.

The text is base64 of deflated numbers: how many runs, their lengths, and the place of each run's
label in a palette; numbers take seven bits a byte, the last byte of each has its high bit clear.
The page decodes the same in a few lines of JavaScript.
"""

import base64
import zlib
from dataclasses import dataclass

import numpy as np

from submission.dataset.rle import Integers
from submission.masks.label_runs import LabelRuns

WIDEST, NARROWEST = 320, 32  # columns of the grid
BYTES_PER_RUN = 0.55  # deflated, measured on masks of moving shapes
GROWTH = 1.4  # bytes grow with the grid's width to this power, measured on the same
BASE64 = 4 / 3  # characters for each byte
NEAR = 1.3  # an estimate above the allowance by this much is worth the compression


@dataclass(frozen=True)
class MaskText:
    """Masks on a grid of (height, width) cells; palette[p] is a label, bit k is layer k."""

    grid: tuple[int, int]
    palette: tuple[int, ...]
    text: str


def write_masks(runs: LabelRuns, allowance: float) -> MaskText:
    """Return the masks on the finest grid, up to 320 columns, that takes `allowance` characters.

    At 32 columns it stops: an allowance too small even for that is exceeded.
    """
    width = min(WIDEST, runs.size[1])
    while True:
        on_grid = runs.on_grid(_grid(runs.size, width))
        excess = len(on_grid.starts) * BYTES_PER_RUN * BASE64 / allowance
        if excess <= NEAR or width <= NARROWEST:
            written = _write(on_grid)
            excess = len(written.text) / allowance
            if excess <= 1 or width <= NARROWEST:
                return written
        width = max(NARROWEST, min(width - 1, int(width * excess ** (-1 / GROWTH))))


def _grid(size: tuple[int, int], width: int) -> tuple[int, int]:
    return max(1, round(size[0] * width / size[1])), width


def _write(runs: LabelRuns) -> MaskText:
    palette, places = np.unique(runs.labels, return_inverse=True)
    numbers = np.concatenate(([len(runs.starts)], runs.lengths, places))
    packed = zlib.compress(_seven_bits(numbers), 9)
    return MaskText(runs.size, tuple(palette.tolist()), base64.b64encode(packed).decode())


def _seven_bits(numbers: Integers) -> bytes:
    """Return numbers of up to 35 bits, int (N,), low bits first, seven in each byte."""
    more = [numbers >> (7 * byte) > 0 for byte in range(1, 5)]  # whether a further byte follows
    parts = np.stack([numbers >> (7 * byte) & 0x7F for byte in range(5)], axis=1)
    used = np.stack([np.ones(len(numbers), bool), *more], axis=1)
    parts[:, :4] |= np.where(used[:, 1:], 0x80, 0)
    return bytes(parts[used].astype(np.uint8))
