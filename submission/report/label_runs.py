"""Several tracks of one sentence as one list of runs, each with the layers that cover it.

Pixels are counted as COCO counts them, column by column, frame after frame. All that the page says
about masks (areas, agreement, the vote, small pictures) is arithmetic on these runs; no mask is
ever decoded, and that is why a whole split takes seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from submission.dataset.rle import read_runs

Integers = NDArray[np.int64]


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


def edges(counts: Sequence[bytes | None], size: tuple[int, int]) -> Integers:
    """Return the pixels at which a track opens and closes in turn, int (2N,), over all frames.

    `counts` are COCO's compressed counts of each frame, None where a frame has no mask.
    """
    pixels = size[0] * size[1]
    runs = [np.array([pixels]) if text is None else read_runs(text) for text in counts]
    ends = np.cumsum(np.concatenate(runs))
    # The end of a frame is no edge where the frame ends in background.
    last = np.cumsum([len(frame) for frame in runs]) - 1
    inside = np.array([len(frame) % 2 == 0 for frame in runs])
    return np.delete(ends, last[~inside])


def union(tracks: Sequence[Integers]) -> Integers:
    """Return the edges of the union of tracks, each given by its edges."""
    places: Integers = np.concatenate([np.empty(0, np.int64), *tracks])
    steps = [1 - 2 * (np.arange(len(track)) % 2) for track in tracks]  # +1 opens, -1 closes
    order = np.argsort(places, kind="stable")
    places = places[order]
    depth = np.cumsum(np.concatenate([np.empty(0, np.int64), *steps])[order])
    settled = np.append(places[1:] > places[:-1], True)[: len(places)]
    places, inside = places[settled], depth[settled] > 0
    crossed: Integers = places[np.diff(inside, prepend=False)]
    return crossed


def overlay(layers: Sequence[Integers], size: tuple[int, int], num_frames: int) -> LabelRuns:
    """Lay tracks of one video over each other; layer k is given by its edges `layers[k]`."""
    pixels = size[0] * size[1]
    # A mark without a bit at the start of each frame keeps runs within the frame.
    places = np.concatenate([np.arange(num_frames) * pixels, *layers])
    bits = [0, *(1 << k for k in range(len(layers)))]
    marks = np.repeat(np.array(bits), [num_frames, *(len(layer) for layer in layers)])
    order = np.argsort(places, kind="stable")
    places, labels = places[order], np.bitwise_xor.accumulate(marks[order])
    covering = np.append(places[1:] > places[:-1], places[-1] < num_frames * pixels)
    return LabelRuns(size, num_frames, places[covering], labels[covering])


def _first_cells(length: int, cells: int) -> Integers:
    """For each place along a side, 0 to `length`, the first cell whose middle is not before it."""
    middles = (2 * np.arange(cells) + 1) * length // (2 * cells)
    return np.searchsorted(middles, np.arange(length + 1)).astype(np.int64)
