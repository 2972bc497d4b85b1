"""Clips and sentences to time with: made up, or the frames of a given folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from submission.errors import InputError

Frames = NDArray[np.uint8]  # (T, H, W, 3) RGB
PICTURES = {".jpg", ".jpeg", ".png"}
CELL, STEP = 32, 8  # pixels: side of a square of noise, and its way from frame to frame


def synthetic_clip(num_frames: int, height: int, width: int, seed: int = 0) -> Frames:
    """A clip of noise that drifts: content does not matter for speed, variety does for masks."""
    rng = np.random.default_rng(seed)
    travelled = -(-STEP * num_frames // CELL)
    shape = (height // CELL + 1, width // CELL + 1 + travelled, 3)
    coarse = rng.integers(0, 256, shape, np.uint8)
    full = np.repeat(np.repeat(coarse, CELL, axis=0), CELL, axis=1)
    starts = range(0, STEP * num_frames, STEP)
    return np.stack([full[:height, start : start + width] for start in starts])


def read_clip(folder: Path, num_frames: int) -> Frames:
    """Read the first pictures of a folder by name, there and back until there are enough.

    Raises InputError for a folder without pictures, and for pictures of different sizes.
    """
    files = _pictures(folder)[:num_frames]
    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in files]
    if len({picture.shape for picture in pictures}) > 1:
        raise InputError(f"{folder}: the pictures have different sizes; name a folder of one clip")
    return np.stack([pictures[index] for index in there_and_back(len(pictures), num_frames)])


def clip_size(folder: Path) -> tuple[int, int]:
    """(height, width) of a folder's first picture; raises InputError where there is none."""
    with Image.open(_pictures(folder)[0]) as picture:
        return picture.height, picture.width


def _pictures(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in PICTURES)
    if not files:
        raise InputError(f"{folder}: no .jpg or .png files; name a folder that holds one clip")
    return files


def there_and_back(available: int, wanted: int) -> Sequence[int]:
    """Indices that lengthen a clip without a jump: 0 1 2 1 0 1 2 ..."""
    turn = [*range(available), *range(available - 2, 0, -1)]
    return [turn[index % len(turn)] for index in range(wanted)]


def sentences(count: int) -> list[str]:
    """Sentences of the length that MeViS has."""
    return [f"the thing number {n} that moves from left to right and stops" for n in range(count)]
