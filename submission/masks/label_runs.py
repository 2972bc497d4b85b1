"""Several tracks of one video as one list of runs, each with the layers that cover it.

Pixels are counted as COCO counts them, column by column, frame after frame. A vote, a union, areas,
agreement and small pictures are arithmetic on these runs: no mask is decoded for them. A single
track is its edges, the pixels at which foreground begins and ends in turn; `Windows` draws it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from submission.dataset.rle import Integers, count_up

MOST_LAYERS = 62  # a label has a bit for each


@dataclass(frozen=True)
class LabelRuns:
    """Runs of pixels with one label; bit k of a label says that layer k covers them.

    `starts` are the first pixels, ascending from 0, over all frames; `labels` belong to them. No
    run crosses from one frame to the next. `size` is (height, width).
    """

    size: tuple[int, int]
    num_frames: int
    starts: Integers  # (N,)
    labels: Integers  # (N,)

    @property
    def lengths(self) -> Integers:
        """Pixels of each run, int (N,)."""
        return np.diff(self.starts, append=self.num_frames * self.size[0] * self.size[1])

    def areas(self) -> tuple[Integers, Integers]:
        """Return the labels that occur, int (L,), and their pixels in each frame, int (T, L)."""
        known = np.flatnonzero(np.bincount(self.labels))
        column = np.zeros(known[-1] + 1, dtype=np.int64)
        column[known] = np.arange(len(known))
        cell = self.starts // (self.size[0] * self.size[1]) * len(known) + column[self.labels]
        cells = self.num_frames * len(known)
        areas = np.bincount(cell, weights=self.lengths, minlength=cells)
        return known, areas.astype(np.int64).reshape(self.num_frames, len(known))

    def where(self, inside: NDArray[np.bool_]) -> Integers:
        """Return the edges of the track that covers the runs told by `inside`, bool (N,).

        With the table of a vote, `table[labels]`, that is the vote; with `labels != 0` the union.
        """
        pixels = self.size[0] * self.size[1]
        # Foreground begins and ends where the answer changes, and anew with every frame.
        new = np.append(True, inside[1:] != inside[:-1])
        new[np.searchsorted(self.starts, np.arange(self.num_frames) * pixels)] = True
        old = np.append(new[1:], True)
        opens = self.starts[inside & new]
        closes = np.append(self.starts[1:], self.num_frames * pixels)[inside & old]
        return np.stack((opens, closes), axis=1).reshape(-1)

    def on_grid(self, grid: tuple[int, int]) -> "LabelRuns":
        """Return the runs of a smaller picture, (height, width), that takes a pixel for each cell.

        It is the pixel at the middle of the cell. So a label on the grid is the label of a real
        pixel, and a vote on the grid is the vote of that pixel. The grid must not be larger than
        the frames.
        """
        height, width = self.size
        cells = grid[0] * grid[1]
        first_row, first_column = _first_cells(height, grid[0]), _first_cells(width, grid[1])
        # For each column of pixels of all frames: its cells, or else the top of the next cells.
        tops = np.arange(self.num_frames)[:, None] * cells + first_column[:-1] * grid[0]
        looked_at = np.tile(np.diff(first_column) > 0, self.num_frames)
        column = self.starts // height
        row = first_row[self.starts - column * height]
        starts = tops.reshape(-1)[column] + row * looked_at[column]
        covering = np.append(starts[1:] > starts[:-1], starts[-1] < self.num_frames * cells)
        starts, labels = starts[covering], self.labels[covering]
        new = np.append(True, (labels[1:] != labels[:-1]) | (starts[1:] % cells == 0))
        return LabelRuns(grid, self.num_frames, starts[new], labels[new])


def union(tracks: Sequence[Integers], size: tuple[int, int], num_frames: int) -> Integers:
    """Return the edges of the union of tracks, each given by its edges; of none, an empty track."""
    joined = np.empty(0, np.int64)
    for start in range(0, len(tracks), MOST_LAYERS - 1):
        several = [joined, *tracks[start : start + MOST_LAYERS - 1]]
        runs = overlay(several, size, num_frames)
        joined = runs.where(runs.labels != 0)
    return joined


def overlay(layers: Sequence[Integers], size: tuple[int, int], num_frames: int) -> LabelRuns:
    """Lay tracks of one video over each other; `layers[k]` are the edges of layer k, up to 62."""
    pixels = size[0] * size[1]
    # A mark without a bit at the start of each frame keeps runs within the frame.
    places = np.concatenate([np.arange(num_frames) * pixels, *layers])
    bits = [0, *(1 << k for k in range(len(layers)))]
    marks = np.repeat(np.array(bits), [num_frames, *(len(layer) for layer in layers)])
    order = np.argsort(places, kind="stable")
    places, labels = places[order], np.bitwise_xor.accumulate(marks[order])
    covering = np.append(places[1:] > places[:-1], places[-1] < num_frames * pixels)
    return LabelRuns(size, num_frames, places[covering], labels[covering])


class Window(NamedTuple):
    """The part of a mask that has foreground, and where it lies in the frame, in pixels."""

    rows: NDArray[np.uint8]  # (h, ceil(w / 8)): eight pixels each, the first one highest
    top: int
    left: int
    width: int

    @property
    def pixels(self) -> NDArray[np.bool_]:
        """The same as bool (h, w)."""
        return np.unpackbits(self.rows, axis=1, count=self.width).view(np.bool_)


class Windows:
    """The masks of a track, frame by frame, as the windows around their foreground.

    `edges` are the track's; `size` is (height, width). A window begins at a multiple of `align`
    columns, and has `margin` empty pixels around it as far as the frame goes on.
    """

    def __init__(
        self, edges: Integers, size: tuple[int, int], num_frames: int, *,
        align: int = 1, margin: int = 0,
    ) -> None:  # fmt: skip
        height, width = size
        starts, last = _within_columns(edges[::2], edges[1::2] - 1, height)
        column, self._first_row = np.divmod(starts, height)
        self._last_row = last - column * height
        # Frame t has runs bounds[t] to bounds[t + 1].
        self._bounds = np.searchsorted(column, np.arange(num_frames + 1) * width)
        self._column = column % width
        self._filled = self._bounds[1:] > self._bounds[:-1]
        self._boxes = np.zeros((num_frames, 4), np.int64)  # top, bottom, left, right
        if not self._filled.any():
            return
        begins = self._bounds[:-1][self._filled]
        top = np.minimum.reduceat(self._first_row, begins) - margin
        bottom = np.maximum.reduceat(self._last_row, begins) + 1 + margin
        left = self._column[begins] - margin
        right = self._column[self._bounds[1:][self._filled] - 1] + 1 + margin
        box = (np.maximum(top, 0), np.minimum(bottom, height),
               np.maximum(left, 0) // align * align, np.minimum(right, width))  # fmt: skip
        self._boxes[self._filled] = np.stack(box, axis=1)

    def __len__(self) -> int:
        return len(self._boxes)

    def __getitem__(self, index: int) -> Window:
        top, bottom, left, right = self._boxes[index].tolist()
        runs = slice(*self._bounds[index : index + 2])
        across = right - left
        # A pixel is marked where foreground begins or has ended above it, and the marks are summed
        # down the rows; on packed rows, eight columns at once.
        marks = np.zeros((bottom - top + 1, across), np.uint8)
        column, flat = self._column[runs] - left, marks.reshape(-1)
        flat[(self._first_row[runs] - top) * across + column] = 1
        flat[(self._last_row[runs] + 1 - top) * across + column] ^= 1
        rows = np.packbits(marks[:-1], axis=1)
        return Window(np.bitwise_xor.accumulate(rows, axis=0), top, left, across)


def _within_columns(starts: Integers, last: Integers, height: int) -> tuple[Integers, Integers]:
    """Return runs by first and last pixel, those over several columns cut at each of them."""
    first_column, last_column = starts // height, last // height
    if np.array_equal(first_column, last_column):
        return starts, last
    parts = last_column - first_column + 1
    whole = np.repeat(first_column, parts) + count_up(parts)
    return (
        np.maximum(np.repeat(starts, parts), whole * height),
        np.minimum(np.repeat(last, parts), whole * height + height - 1),
    )


def _first_cells(length: int, cells: int) -> Integers:
    """For each place along a side, 0 to `length`, the first cell whose middle is not before it."""
    middles = (2 * np.arange(cells) + 1) * length // (2 * cells)
    return np.searchsorted(middles, np.arange(length + 1)).astype(np.int64)
