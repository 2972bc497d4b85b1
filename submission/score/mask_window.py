"""A mask as scoring sees it: the window around its foreground, and its boundary pixels.

Objects are small and frames are large, so everything below looks at the window only. Where a
boundary has to be near another one, a coarse grid decides nearly all pixels and a tree the rest.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from submission.masks.label_runs import Window
from submission.output.png_files import read_mask, read_packed_rows

Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Shape:
    """The foreground of one frame of (height, width) pixels.

    `window` is bool (h, w) and lies at (top, left) of the frame. It holds all of the foreground
    and, wherever the frame goes on, at least one empty pixel around it.
    """

    size: tuple[int, int]
    top: int
    left: int
    window: Mask

    @staticmethod
    def of_mask(mask: Mask) -> "Shape":
        """Return the shape of a mask, bool (H, W)."""
        size = (mask.shape[0], mask.shape[1])
        rows, columns = _filled(mask)
        return Shape(size, rows.start, columns.start, np.ascontiguousarray(mask[rows, columns]))

    @staticmethod
    def of_png(content: bytes, size: tuple[int, int] | None = None) -> "Shape":
        """Return the shape in an image file, read as the judge reads it.

        Raises BrokenImage when the file is damaged, and may raise it before decoding when the
        image is not of `size` (height, width).
        """
        packed = read_packed_rows(content)
        if packed is None:
            return Shape.of_mask(read_mask(content, size))
        octets, found = packed  # eight pixels each
        rows, columns = _filled(octets)
        left, right = 8 * columns.start, min(8 * columns.stop, found[1])
        pixels = np.unpackbits(octets[rows, columns], axis=1, count=right - left)
        return Shape(found, rows.start, left, pixels.view(np.bool_))

    @staticmethod
    def of_window(window: Window, size: tuple[int, int]) -> "Shape":
        """Return the shape of a track's mask, drawn with a margin of one pixel."""
        return Shape(size, window.top, window.left, window.pixels)

    @cached_property
    def area(self) -> int:
        """How many pixels are foreground."""
        return int(np.count_nonzero(self.window))

    def shared_area(self, other: "Shape") -> int:
        """Return how many pixels are foreground in both."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        mine = self.window[top - self.top :, left - self.left :]
        others = other.window[top - other.top :, left - other.left :]
        height, width = min(len(mine), len(others)), min(mine.shape[1], others.shape[1])
        return int(np.count_nonzero(mine[:height, :width] & others[:height, :width]))

    @cached_property
    def outline(self) -> "Outline":
        """The boundary pixels, in the coordinates of the frame."""
        # The window ends with an empty row and column or with those of the frame, so that the
        # special rules of `boundary` for the last row and column give the same as in the frame.
        width = max(self.window.shape[1], 1)
        y, x = np.divmod(np.flatnonzero(boundary(self.window)), width)
        return Outline(y + self.top, x + self.left, self.size)


class Outline:
    """Pixels (y, x) of a boundary, int (N,) each, and how many of them are near another one.

    They come row by row.
    """

    def __init__(self, y: Numbers, x: Numbers, size: tuple[int, int]) -> None:
        self.y, self.x, self.size = y, x, size
        self._on_grid: dict[_Grid, _OnGrid] = {}

    def __len__(self) -> int:
        return len(self.y)

    def share_near(self, other: "Outline", reach: int) -> float:
        """Return the share of pixels with a pixel of `other` at most `reach` pixels away.

        That is being inside the disk x^2 + y^2 <= reach^2 that the judge dilates with.
        """
        grid = _Grid.make(self.size, reach)
        mine, others = self._laid_on(grid), other._laid_on(grid)
        near = others.reached[mine.cells]
        found = int(np.count_nonzero(near))
        open_ = np.flatnonzero(~near & others.maybe_reached[mine.cells])
        if len(open_):
            asked = np.zeros_like(others.occupied)
            asked[mine.cells[open_]] = True
            rivals = other._points(grid.widen(asked, mine.rows)[others.cells])
            found += _count_near(self._points(open_), rivals, reach)
        return found / len(self)

    def _laid_on(self, grid: "_Grid") -> "_OnGrid":
        if grid not in self._on_grid:
            self._on_grid[grid] = _OnGrid.lay(self.y, self.x, grid)
        return self._on_grid[grid]

    def _points(self, chosen: Numbers | Mask) -> Numbers:
        return np.stack((self.y[chosen], self.x[chosen]), axis=1)


@dataclass(frozen=True, eq=False)
class _Grid:
    """Square cells over a frame, numbered row by row, with a margin of empty ones around it."""

    side: int  # pixels
    height: int  # cells, like the rest
    width: int
    margin: int  # pixels of cells further apart than this are never within reach
    surely_near: tuple[int, ...]  # from a cell to those that are within reach as a whole

    @staticmethod
    @lru_cache(maxsize=64)
    def make(size: tuple[int, int], reach: int) -> "_Grid":
        side = max(reach // 3, 1)
        margin = max((reach - 1) // side + 1, 1)
        height, width = (length // side + 1 + 2 * margin for length in size)
        steps = np.arange(-margin, margin + 1)
        furthest = (abs(steps) + 1) * side - 1  # pixels between two of cells so far apart
        inside = furthest[:, None] ** 2 + furthest**2 <= reach**2
        offsets = steps[:, None] * width + steps
        return _Grid(side, height, width, margin, tuple(offsets[inside].tolist()))

    def widen(self, cells: Mask, rows: tuple[int, int]) -> Mask:
        """Mark also the cells that may have a pixel within reach of a marked one.

        Marked cells lie from the first of `rows` to before the second.
        """
        everywhere = cells.copy()
        wide = everywhere[
            (rows[0] - self.margin) * self.width : (rows[1] + self.margin) * self.width
        ]
        for stride in (1, self.width):
            narrow = wide.copy()
            for step in range(stride, stride * self.margin + 1, stride):
                wide[step:] |= narrow[:-step]
                wide[:-step] |= narrow[step:]
        return everywhere


@dataclass(frozen=True, eq=False)
class _OnGrid:
    """The pixels of an outline on a grid."""

    grid: _Grid
    cells: Numbers  # of each pixel
    rows: tuple[int, int]  # of cells: the first with a pixel, and the one after the last
    occupied: Mask  # by cell: a pixel is in it
    reached: Mask  # by cell: every pixel of the cell is near one of these

    @cached_property
    def maybe_reached(self) -> Mask:
        """By cell: a pixel of the cell may be near one of these."""
        return self.grid.widen(self.occupied, self.rows)

    @staticmethod
    def lay(y: Numbers, x: Numbers, grid: _Grid) -> "_OnGrid":
        cells = (y // grid.side + grid.margin) * grid.width + x // grid.side + grid.margin
        occupied = np.zeros(grid.height * grid.width, np.bool_)
        occupied[cells] = True
        reached = occupied.copy()
        rows = (int(y[0]) // grid.side + grid.margin, int(y[-1]) // grid.side + grid.margin + 1)
        # Of the cells outside the frame nothing is asked.
        first = max(rows[0] - grid.margin, grid.margin) * grid.width + grid.margin
        stop = min(rows[1] + grid.margin, grid.height - grid.margin) * grid.width - grid.margin
        inner = reached[first:stop]
        for offset in grid.surely_near:
            inner |= occupied[first + offset : stop + offset]
        return _OnGrid(grid, cells, rows, occupied, reached)


def boundary(mask: Mask) -> Mask:
    """Return the boundary map of a mask, bool (H, W) to bool (H, W).

    A pixel is on the boundary when it differs from its right, lower or lower right neighbour;
    in the last row only the right one counts, in the last column only the lower one.
    """
    edge = np.zeros(mask.shape, np.bool_)
    width = mask.shape[1]
    pixels, edges = np.ascontiguousarray(mask).reshape(-1), edge.reshape(-1)
    # As one long row: shifted by one pixel, by a row, and by both. Only the last column then
    # sees the wrong neighbours, and is put right at the end.
    for step in (1, width, width + 1):
        edges[:-step] |= pixels[:-step] ^ pixels[step:]
    edge[:-1, -1:] = mask[:-1, -1:] ^ mask[1:, -1:]
    return edge


def _filled(pixels: NDArray[Any]) -> tuple[slice, slice]:
    # The rows and columns from one before the first that is not empty to one after the last.
    # Columns first: an "or" down the rows is fast, and leaves less to look at.
    columns = _around(np.bitwise_or.reduce(pixels, axis=0), pixels.shape[1])
    rows = np.asarray(pixels[:, columns].any(axis=1))
    return _around(rows, pixels.shape[0]), columns


def _around(filled: NDArray[Any], length: int) -> slice:
    places = np.flatnonzero(filled)
    if len(places) == 0:
        return slice(0, 0)
    return slice(max(int(places[0]) - 1, 0), min(int(places[-1]) + 2, length))


def _count_near(points: Numbers, others: Numbers, reach: int) -> int:
    # Distances between pixels are roots of whole numbers, so `<=` is exact; the half pixel
    # only tells the tree where to stop searching.
    tree = cKDTree(others, balanced_tree=False, compact_nodes=False)
    distances, _ = tree.query(points, distance_upper_bound=reach + 0.5)
    return int(np.count_nonzero(distances <= reach))
