"""Masks become PNG files as the judge reads them, and PNG files become masks again.

The writer is a few lines of its own: one bit per pixel goes to zlib directly. For a 1080p mask
that is three times as fast as through Pillow and 15 % smaller, and no version of Pillow can
change the bytes.
"""

import os
import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from submission.dataset.images import BrokenImage, decode_image, high_byte, size_fault
from submission.files.whole import write_bytes
from submission.masks.label_runs import Window
from submission.masks.track import Track

PngMode = Literal["1bit", "8bit"]

WRITERS = min(16, os.cpu_count() or 1)  # threads; zlib works outside the interpreter lock
_COMPRESSION = 6  # zlib level; 9 is 20 % smaller and six times as slow
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_HEAD = 24  # bytes up to the size
_GREY = 0  # PNG colour type: one channel, no palette, no alpha
_LARGEST = 1 << 26  # pixels; whether a larger image is opened at all is for Pillow to say
_PLAIN = bytes((1, _GREY, 0, 0, 0))  # how a header ends: 1 bit, grey, not interlaced


def encode_png(mask: NDArray[np.bool_], mode: PngMode = "1bit") -> bytes:
    """Return a mask, bool (H, W), as a single-channel PNG with foreground 1 or 255.

    The same mask and mode give the same bytes; there is no metadata.
    """
    rows = np.packbits(mask, axis=1)
    return encode_window(Window(rows, 0, 0, mask.shape[1]), mask.shape, mode)


def encode_window(window: Window, size: tuple[int, ...], mode: PngMode = "1bit") -> bytes:
    """Return the PNG of the mask (height, width) that the window is part of, as `encode_png`.

    The window begins at a multiple of eight columns.
    """
    height, width = size
    if mode == "1bit":
        rows, depth, left, across = window.rows, 1, window.left // 8, -(-width // 8)
    elif mode == "8bit":
        rows = window.pixels.view(np.uint8) * np.uint8(255)
        depth, left, across = 8, window.left, width
    else:
        raise ValueError(f'the PNG mode is {mode!r}; it must be "1bit" or "8bit"')
    lines = np.zeros((height, 1 + across), dtype=np.uint8)  # each begins with filter 0: none
    inner = lines[window.top : window.top + len(rows), 1 + left :]
    inner[:, : rows.shape[1]] = rows
    header = struct.pack(">IIBBBBB", width, height, depth, _GREY, 0, 0, 0)
    return _join(header, zlib.compress(lines.data, _COMPRESSION))


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

    encode = _encoder(masks, mode)

    def write(index: int) -> int:
        content = encode(index)
        write_bytes(folder / f"{frame_names[index]}.png", content, durable=False)
        return len(content)

    with ThreadPoolExecutor(WRITERS) as pool:
        return sum(pool.map(write, range(len(frame_names))))


def _encoder(masks: Track | NDArray[np.bool_], mode: PngMode) -> Callable[[int], bytes]:
    """Return a function that makes the PNG of a frame."""
    if not isinstance(masks, Track):
        return lambda index: encode_png(masks[index], mode)
    windows, size = masks.windows(align=8), masks.size
    return lambda index: encode_window(windows[index], size, mode)


def read_mask(content: bytes, size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    """Return an image file as the judge reads it, bool (H, W): foreground where grey is not 0.

    Colours and palettes count by their luminance, 16-bit grey by its high byte. Raises
    BrokenImage when the file is damaged, or not of `size` (height, width).
    """
    packed = read_packed_rows(content)
    if packed is not None:
        if reason := size_fault(packed[1], size):
            raise BrokenImage(reason)
        return np.unpackbits(packed[0], axis=1, count=packed[1][1]).view(np.bool_)
    image = decode_image(content, size)
    grey = high_byte(image)
    return np.asarray((np.asarray(image.convert("L")) if grey is None else grey) != 0)


def png_size(head: bytes) -> tuple[int, int] | None:
    """Return (height, width) from the first PNG_HEAD bytes of a PNG, None for any other file."""
    if len(head) < PNG_HEAD or not head.startswith(_SIGNATURE):
        return None
    width, height = struct.unpack(">II", head[16:24])
    return height, width


def read_packed_rows(content: bytes) -> tuple[NDArray[np.uint8], tuple[int, int]] | None:
    """Return the rows of a plain 1-bit PNG, eight pixels a byte, and its (height, width).

    Plain is what `encode_png` writes: grey, no filters, header, pixels and end and nothing else.
    Six times as fast as Pillow. Returns None for any other file, damaged ones included.
    """
    header, length = content[16:29], int.from_bytes(content[33:37])
    body = content[41 : 41 + length]
    # Putting the file together again compares every byte that is not a pixel, checksums too.
    if header[8:] != _PLAIN or content != _join(header, body):
        return None
    width, height = struct.unpack(">II", header[:8])
    if width * height > _LARGEST:
        return None
    line = 1 + (width + 7) // 8  # bytes; the first is the number of a filter
    stream = zlib.decompressobj()
    try:
        pixels = stream.decompress(body, height * line + 1)
    except zlib.error:
        return None
    if len(pixels) != height * line or not stream.eof:
        return None
    lines = np.frombuffer(pixels, dtype=np.uint8).reshape(height, line)
    return None if lines[:, 0].any() else (lines[:, 1:], (height, width))


def _join(header: bytes, pixels: bytes) -> bytes:
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
    return _SIGNATURE + chunks


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
