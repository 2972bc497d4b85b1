"""COCO run-length encoding of one mask: encode, decode, and check what a file claims.

A mask is read column by column as runs of pixels, background first; the runs are written as
text of five bits per character. Written out here, because pycocotools reads beyond the end of
a damaged text, and because a vote works on the runs themselves.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FIRST = 48  # the character "0" stands for 0; the 64 characters from there on are used
_MORE = 0x20  # this bit says that the number goes on with the next character
_SIGN = 0x10  # this bit of the last character says that the number is negative
_LONGEST = 7  # characters of a number, 35 bits

Integers = NDArray[np.int64]


def encode(mask: NDArray[np.bool_]) -> bytes:
    """Return the compressed counts of a mask, bool (H, W)."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return encode_window(mask[:0, :0], 0, 0, mask.shape)
    top, bottom = rows[0], rows[-1] + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    left, right = columns[0], columns[-1] + 1
    return encode_window(mask[top:bottom, left:right], top, left, mask.shape)


def encode_packed(bits: NDArray[np.uint8], width: int) -> bytes:
    """Return the compressed counts of a mask at one bit a pixel, uint8 (H, ceil(W / 8)).

    The first pixel is in the highest bit. Only the window with foreground is unpacked.
    """
    size = (len(bits), width)
    rows = np.flatnonzero(bits.any(axis=1))
    if not rows.size:
        return encode_window(np.zeros((0, 0), np.bool_), 0, 0, size)
    top, bottom = rows[0], rows[-1] + 1
    columns = np.flatnonzero(bits[top:bottom].any(axis=0))
    first, last = columns[0], columns[-1] + 1
    count = min(8 * last, width) - 8 * first
    pixels = np.unpackbits(bits[top:bottom, first:last], axis=1, count=count)
    return encode_window(pixels.view(np.bool_), top, 8 * first, size)


def encode_window(pixels: NDArray[np.bool_], top: int, left: int, size: tuple[int, ...]) -> bytes:
    """Return the compressed counts of a mask (height, width) from all of it that is not empty.

    `pixels`, bool (h, w), lie at (top, left) of the mask.
    """
    height, width = size
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
    edges = (column + left) * height + row + top
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
    runs, _ = read_runs([counts])
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size[1], size[0]).T


def read_item(item: Any, size: tuple[int, int]) -> bytes:
    """Return the counts of `{"size": [height, width], "counts": ...}` as files store a mask.

    COCO writes counts as text, or uncompressed as a list of run lengths; both are read. Raises
    ValueError, with a reason, unless it claims to be a mask of exactly this (height, width).
    Whether the run lengths cover it is for `read_edges` to say, of many masks at once.
    """
    if not isinstance(item, dict) or not isinstance(item.get("counts"), str | list):
        raise ValueError("its mask is not a run-length encoding with size and counts")
    if item.get("size") != list(size):
        raise ValueError(f"its mask has size {item.get('size')}, the video {list(size)}")
    counts = item["counts"]
    return _compress(counts, size) if isinstance(counts, list) else _as_bytes(counts)


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
        runs, _ = read_runs([counts])
    except ValueError as error:
        return str(error)
    if runs.min() < 0:
        return "a run length is negative"
    pixels = size[0] * size[1]
    if runs.sum() != pixels:
        return f"its run lengths cover {runs.sum()} pixels, not {size[1]} x {size[0]} = {pixels}"
    return None


def first_fault(texts: Sequence[bytes], size: tuple[int, int]) -> tuple[int, str] | None:
    """Return the place of the first mask that is damaged, and why; None when there is none."""
    try:
        if _cover(*read_runs(texts), size):
            return None
    except ValueError:
        pass  # which of them it is, is seen below
    faults = ((index, counts_fault(counts, size)) for index, counts in enumerate(texts))
    return next(((index, fault) for index, fault in faults if fault), None)


def read_edges(texts: Sequence[bytes], size: tuple[int, int]) -> Integers:
    """Return the pixels at which foreground begins and ends in turn, int (2N,), over all masks.

    Pixels are counted by columns, mask after mask; no foreground goes on from one mask into the
    next, and none is empty. Raises ValueError, with a reason, for the first damaged mask.
    """
    pixels = size[0] * size[1]
    runs, firsts = read_runs(texts)
    if not _cover(runs, firsts, size):
        _, reason = first_fault(texts, size) or (0, "")
        raise ValueError(reason)
    ends = np.cumsum(runs)
    # The end of a mask is no edge where it ends in background.
    in_background = np.diff(firsts) % 2 == 1
    edges = np.delete(ends, firsts[1:][in_background] - 1)
    if (edges[1:] == edges[:-1]).any():
        # Written in an unusual way: foreground of no pixels, or two runs without a gap.
        edges = edges[np.repeat(edges[::2] < edges[1::2], 2)]
        apart = (edges[1:-1:2] < edges[2::2]) | (edges[2::2] % pixels == 0)
        edges = edges[np.concatenate(([True], np.repeat(apart, 2), [True]))[: len(edges)]]
    return edges


def _cover(runs: Integers, firsts: Integers, size: tuple[int, int]) -> bool:
    """Tell whether the runs of each mask are none below zero and together its pixels."""
    pixels = np.add.reduceat(runs, firsts[:-1])
    return bool(runs.min() >= 0) and bool((pixels == size[0] * size[1]).all())


def _write(runs: NDArray[np.int64]) -> bytes:
    """Return run lengths, int (N,), as COCO's compressed text."""
    numbers = runs.copy()
    numbers[3:] -= runs[1:-2]  # from the fourth on, the difference to the one two places before
    lengths = np.ones(len(runs), dtype=np.int64)  # characters of each number
    for length in range(1, _LONGEST):
        limit = 1 << (5 * length - 1)
        lengths += (numbers < -limit) | (numbers >= limit)
    group = count_up(lengths)  # the place of each character in its number
    codes = np.repeat(numbers, lengths) >> (5 * group) & 0x1F
    codes[group < np.repeat(lengths, lengths) - 1] |= _MORE
    return (codes + _FIRST).astype(np.uint8).tobytes()


def read_runs(texts: Sequence[bytes]) -> tuple[Integers, Integers]:
    """Return the run lengths of many masks, int (N,), and where those of each begin, int (T + 1,).

    Raises ValueError when a text is not made of numbers.
    """
    codes = np.frombuffer(b"".join(texts), dtype=np.uint8) - np.uint8(_FIRST)
    stops = np.cumsum([len(text) for text in texts])
    if not codes.size or codes.max() > 63 or 0 in np.diff(stops, prepend=0):
        raise ValueError("its run lengths are not COCO's compressed text")
    ends = np.flatnonzero(codes < _MORE)  # the last character of each number
    firsts = np.searchsorted(ends, np.append(0, stops))
    if not ends.size or not np.array_equal(ends[firsts[1:] - 1], stops - 1):
        raise ValueError("its run lengths end in the middle of a number")
    starts = np.append(0, ends[:-1] + 1)
    lengths = ends - starts + 1  # characters of each number
    longest = int(lengths.max())
    if longest > _LONGEST:
        raise ValueError("a run length is longer than any image")
    numbers = codes[starts].astype(np.int64) & 0x1F
    for character in range(1, longest):
        longer = np.flatnonzero(lengths > character)
        digit = codes[starts[longer] + character].astype(np.int64) & 0x1F
        numbers[longer] |= digit << (5 * character)
    negative = np.flatnonzero(codes[ends] & _SIGN)
    numbers[negative] -= np.int64(1) << (5 * lengths[negative])
    return _sum_up(numbers, firsts), firsts


def _sum_up(numbers: Integers, firsts: Integers) -> Integers:
    """Return run lengths from what is written: from the fourth on, differences to the last but one.

    Both chains are summed over all masks at once; what earlier masks added is taken off again.
    """
    sums = np.empty_like(numbers)
    sums[0::2], sums[1::2] = np.cumsum(numbers[0::2]), np.cumsum(numbers[1::2])
    runs = sums.copy()
    for first, stop in zip(firsts[:-1].tolist(), firsts[1:].tolist(), strict=True):
        runs[first] = numbers[first]
        runs[first + 1 : stop : 2] -= sums[first - 1] if first else 0
        runs[first + 2 : stop : 2] -= sums[first]
    return runs


def count_up(lengths: Integers) -> Integers:
    """Return 0, 1, ... for each of the lengths: 2, 3 give 0 1 0 1 2."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) - np.repeat(starts, lengths)
