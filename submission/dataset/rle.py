"""COCO run-length encoding of one mask: encode, decode, and check what a file claims.

A mask is read column by column as runs of pixels, background first; the runs are written as
text of five bits per character. Written out here, because pycocotools reads beyond the end of
a damaged text, and because a vote works on the runs themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FIRST = 48  # the character "0" stands for 0; the 64 characters from there on are used
_MORE = 0x20  # this bit says that the number goes on with the next character
_SIGN = 0x10  # this bit of the last character says that the number is negative
_LONGEST = 7  # characters of a number, 35 bits


@dataclass(frozen=True)
class Window:
    """A part of a mask, bool (h, w), outside of which all is background, and where it lies."""

    pixels: NDArray[np.bool_]
    top: int
    left: int


def encode(mask: NDArray[np.bool_]) -> bytes:
    """Return the compressed counts of a mask, bool (H, W)."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return encode_window(Window(mask[:0, :0], 0, 0), mask.shape)
    top, bottom = rows[0], rows[-1] + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    left, right = columns[0], columns[-1] + 1
    return encode_window(Window(mask[top:bottom, left:right], top, left), mask.shape)


def encode_packed(bits: NDArray[np.uint8], width: int) -> bytes:
    """Return the compressed counts of a mask at one bit a pixel, uint8 (H, ceil(W / 8)).

    The first pixel is in the highest bit. Only the window with foreground is unpacked.
    """
    size = (len(bits), width)
    rows = np.flatnonzero(bits.any(axis=1))
    if not rows.size:
        return encode_window(Window(np.zeros((0, 0), np.bool_), 0, 0), size)
    top, bottom = rows[0], rows[-1] + 1
    columns = np.flatnonzero(bits[top:bottom].any(axis=0))
    first, last = columns[0], columns[-1] + 1
    count = min(8 * last, width) - 8 * first
    pixels = np.unpackbits(bits[top:bottom, first:last], axis=1, count=count)
    return encode_window(Window(pixels.view(np.bool_), top, 8 * first), size)


def encode_window(window: Window, size: tuple[int, ...]) -> bytes:
    """Return the compressed counts of the mask (height, width) that the window is part of."""
    height, width = size
    pixels, top = window.pixels, int(window.top)
    if top + len(pixels) < height:
        # A row of background below keeps the runs of one column apart from those of the next.
        pixels = np.pad(pixels, ((0, 1), (0, 0)))
    elif top > 0:
        pixels, top = np.pad(pixels, ((1, 0), (0, 0))), top - 1
    column_major = np.pad(pixels.T.reshape(-1), 1)
    places = np.flatnonzero(column_major[1:] != column_major[:-1])
    if not places.size:
        return encode_ends(np.array([height * width]), False)
    # A run that begins counts from its first pixel, one that ends from its last.
    places[1::2] -= 1
    column, row = np.divmod(places, len(pixels))
    edges = (column + window.left) * height + row + top
    edges[1::2] += 1
    foreground_first = bool(edges[0] == 0)
    edges = edges[1:] if foreground_first else edges
    if not edges.size or edges[-1] < height * width:
        edges = np.append(edges, height * width)
    return encode_ends(edges, foreground_first)


def encode_ends(ends: NDArray[np.int64], foreground_first: bool) -> bytes:
    """Return the compressed counts of runs that end before these pixels, ascending.

    The colours of the runs alternate; the last run ends before the number of pixels.
    """
    return _write(np.diff(ends, prepend=[0, 0] if foreground_first else [0]))


def decode(counts: bytes, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask, bool (H, W), stored by columns; `counts` must have been checked."""
    mask = np.zeros((size[1], size[0]), dtype=np.bool_).T
    window = decode_window(counts, size)
    height, width = window.pixels.shape
    mask[window.top : window.top + height, window.left : window.left + width] = window.pixels
    return mask


def decode_window(counts: bytes, size: tuple[int, int], align: int = 1) -> Window:
    """Return the part of a mask (height, width) that has foreground, stored by columns.

    Its first column is a multiple of `align`. `counts` must have been checked.
    """
    height = size[0]
    runs = read_runs(counts)
    ends = np.cumsum(runs)
    there = runs[1::2] > 0
    starts, stops = ends[: 2 * len(there) : 2][there], ends[1::2][there]
    if not starts.size:
        return Window(np.zeros((0, 0), np.bool_), 0, 0)
    first_column, first_row = np.divmod(starts, height)
    last_column, last_row = np.divmod(stops - 1, height)
    top, bottom = 0, height
    if (first_column == last_column).all():
        top, bottom = int(first_row.min()), int(last_row.max()) + 1
    left = int(first_column[0]) // align * align
    inside, across = bottom - top, int(last_column[-1]) + 1 - left
    lengths = np.zeros(2 * len(starts) + 1, dtype=np.int64)
    begin = (first_column - left) * inside + first_row - top
    end = (last_column - left) * inside + last_row - top + 1
    lengths[0::2] = np.append(begin, inside * across) - np.append(0, end)
    lengths[1::2] = end - begin
    colours = np.arange(len(lengths)) % 2 == 1
    return Window(np.repeat(colours, lengths).reshape(across, inside).T, top, left)


def decode_union(parts: Sequence[bytes], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the union of several checked masks as bool (H, W); without parts it is empty."""
    union = np.zeros(size, dtype=np.bool_, order="F")
    for counts in parts:
        union |= decode(counts, size)
    return union


def read_item(item: Any, size: tuple[int, int]) -> bytes:
    """Return the counts of `{"size": [height, width], "counts": ...}` as files store a mask.

    COCO writes counts as text, or uncompressed as a list of run lengths; both are read. Raises
    ValueError, with a reason, unless it is a mask of exactly this (height, width).
    """
    if not isinstance(item, dict) or not isinstance(item.get("counts"), str | list):
        raise ValueError("its mask is not a run-length encoding with size and counts")
    if item.get("size") != list(size):
        raise ValueError(f"its mask has size {item.get('size')}, the video {list(size)}")
    counts = item["counts"]
    text = _compress(counts, size) if isinstance(counts, list) else _as_bytes(counts)
    if reason := counts_fault(text, size):
        raise ValueError(reason)
    return text


def _as_bytes(text: str) -> bytes:
    if text.startswith(("b'", 'b"')):
        # Of such a text COCO's own reader makes a wrong mask, or crashes.
        raise ValueError(
            "its run lengths are Python bytes written as text, b'...'; write counts.decode()"
        )
    if not text.isascii():
        raise ValueError("its run lengths are not COCO's compressed text")
    return text.encode()


def _compress(runs: list[Any], size: tuple[int, int]) -> bytes:
    pixels = size[0] * size[1]
    if not runs or not all(type(run) is int and 0 <= run <= pixels for run in runs):
        raise ValueError(f"its run lengths must be whole numbers from 0 to {pixels}")
    return _write(np.array(runs, dtype=np.int64))


def counts_fault(counts: bytes, size: tuple[int, int]) -> str | None:
    """Say why `counts` cannot be a mask of (height, width), or None when they can."""
    try:
        runs = read_runs(counts)
    except ValueError as error:
        return str(error)
    if runs.min() < 0:
        return "a run length is negative"
    pixels = size[0] * size[1]
    if runs.sum() != pixels:
        return f"its run lengths cover {runs.sum()} pixels, not {size[1]} x {size[0]} = {pixels}"
    return None


def _write(runs: NDArray[np.int64]) -> bytes:
    """Return run lengths, int (N,), as COCO's compressed text."""
    numbers = runs.copy()
    numbers[3:] -= runs[1:-2]  # from the fourth on, the difference to the one two places before
    lengths = np.ones(len(runs), dtype=np.int64)  # characters of each number
    for length in range(1, _LONGEST):
        limit = 1 << (5 * length - 1)
        lengths += (numbers < -limit) | (numbers >= limit)
    group = _positions(lengths)
    codes = np.repeat(numbers, lengths) >> (5 * group) & 0x1F
    codes[group < np.repeat(lengths, lengths) - 1] |= _MORE
    return (codes + _FIRST).astype(np.uint8).tobytes()


def read_runs(counts: bytes) -> NDArray[np.int64]:
    """Return the run lengths, int (N,); raise ValueError when the text is not made of numbers."""
    codes = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - _FIRST
    if codes.size == 0 or codes.min() < 0 or codes.max() > 63:
        raise ValueError("its run lengths are not COCO's compressed text")
    ends = np.flatnonzero((codes & _MORE) == 0)
    if ends.size == 0 or ends[-1] != codes.size - 1:
        raise ValueError("its run lengths end in the middle of a number")
    lengths = np.diff(ends, prepend=-1)  # characters of each number
    if lengths.max() > _LONGEST:
        raise ValueError("a run length is longer than any image")
    digits = (codes & 0x1F) << (5 * _positions(lengths))
    runs = np.add.reduceat(digits, ends - lengths + 1)
    negative = (codes[ends] & _SIGN) != 0
    runs[negative] -= np.int64(1) << (5 * lengths[negative])
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def _positions(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each character in its number: lengths 2, 3 give 0 1 0 1 2."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) - np.repeat(starts, lengths)
