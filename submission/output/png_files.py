"""Masks become PNG files as the judge reads them, and PNG files become masks again.

The writer is a few lines of its own: one bit per pixel goes to zlib directly. For a 1080p mask
that is three times as fast as through Pillow and 15 % smaller, and no version of Pillow can
change the bytes.
"""

import os
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from submission.dataset.images import decode_image
from submission.masks.track import Track
from submission.whole_files import write_bytes

PngMode = Literal["1bit", "8bit"]

WRITERS = min(16, os.cpu_count() or 1)  # threads; zlib works outside the interpreter lock
_COMPRESSION = 6  # zlib level; 9 is 20 % smaller and six times as slow
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY = 0  # PNG colour type: one channel, no palette, no alpha


def encode_png(mask: NDArray[np.bool_], mode: PngMode = "1bit") -> bytes:
    """Return a mask, bool (H, W), as a single-channel PNG with foreground 1 or 255.

    The same mask and mode give the same bytes; there is no metadata.
    """
    if mode == "1bit":
        rows, depth = np.packbits(np.ascontiguousarray(mask), axis=1), 1
    elif mode == "8bit":
        rows, depth = np.where(mask, np.uint8(255), np.uint8(0)), 8
    else:
        raise ValueError(f'the PNG mode is {mode!r}; it must be "1bit" or "8bit"')
    height, width = mask.shape
    lines = np.zeros((height, 1 + rows.shape[1]), dtype=np.uint8)  # each begins with filter 0: none
    lines[:, 1:] = rows
    header = struct.pack(">IIBBBBB", width, height, depth, _GREY, 0, 0, 0)
    pixels = zlib.compress(lines.tobytes(), _COMPRESSION)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def write_track(
    folder: Path,
    frame_names: Sequence[str],
    masks: Track | NDArray[np.bool_],
    mode: PngMode = "1bit",
) -> int:
    """Write `<folder>/<frame name>.png` for each frame and return how many bytes these are.

    `masks` is a Track or bool (T, H, W) with one mask for each frame name, else ValueError.
    Each file is there whole or not at all; an error in any thread is raised here.
    """
    if len(masks) != len(frame_names):
        raise ValueError(f"{len(masks)} masks for {len(frame_names)} frames")

    def write(index: int) -> int:
        mask = masks.frame(index) if isinstance(masks, Track) else masks[index]
        content = encode_png(mask, mode)
        write_bytes(folder / f"{frame_names[index]}.png", content, durable=False)
        return len(content)

    with ThreadPoolExecutor(WRITERS) as pool:
        return sum(pool.map(write, range(len(frame_names))))


def read_mask(content: bytes) -> NDArray[np.bool_]:
    """Return an image file as the judge reads it, bool (H, W): foreground where grey is not 0.

    Colours and palettes count by their luminance, 16-bit grey by its high byte. Raises
    BrokenImage when the file is damaged.
    """
    image = decode_image(content)
    if image.mode.startswith("I"):
        return np.asarray(np.asarray(image).astype(np.int64) >> 8 != 0)
    return np.asarray(np.asarray(image.convert("L")) != 0)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
