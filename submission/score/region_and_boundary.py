"""J and F of every frame: region similarity and boundary accuracy in the conventions of DAVIS.

Pure functions of two masks; nothing here knows of videos, sentences or files.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

BOUNDARY_TOLERANCE = 0.008  # of the image diagonal; rounded up to whole pixels

Mask = NDArray[np.bool_]


def region_similarity(pred: Mask, truth: Mask) -> NDArray[np.float64]:
    """Return J of each frame, (T,) in 0..1: intersection over union; 1 where both are empty.

    `pred` and `truth` are bool (T, H, W). Raises ValueError when their shapes differ.
    """
    _require_clips(pred, truth)
    intersection = np.array([np.count_nonzero(p & t) for p, t in zip(pred, truth, strict=True)])
    union = np.array([np.count_nonzero(p | t) for p, t in zip(pred, truth, strict=True)])
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))


def boundary_accuracy(pred: Mask, truth: Mask, tolerance: int | None = None) -> NDArray[np.float64]:
    """Return F of each frame, (T,) in 0..1: the harmonic mean of boundary precision and recall.

    A boundary pixel counts as found when the other mask has a boundary pixel at most `tolerance`
    pixels away (Euclidean; default `default_tolerance`). No boundary in either frame gives 1,
    in exactly one of them 0. A mask that fills its frame has no boundary, as with the judge.

    `pred` and `truth` are bool (T, H, W). Raises ValueError when their shapes differ.
    """
    _require_clips(pred, truth)
    height, width = pred.shape[1:]
    reach = default_tolerance(height, width) if tolerance is None else tolerance
    return np.array([_frame_f(p, t, reach) for p, t in zip(pred, truth, strict=True)])


def default_tolerance(height: int, width: int) -> int:
    """Return the tolerance of F in pixels for this frame size: 18 for 1920 x 1080."""
    return math.ceil(BOUNDARY_TOLERANCE * math.hypot(height, width))


def boundary(mask: Mask) -> Mask:
    """Return the boundary map of a mask, bool (H, W) to bool (H, W).

    A pixel is on the boundary when it differs from its right, lower or lower right neighbour;
    in the last row only the right one counts, in the last column only the lower one.
    """
    edge = np.zeros_like(mask)
    edge[:, :-1] |= mask[:, :-1] ^ mask[:, 1:]
    edge[:-1, :] |= mask[:-1, :] ^ mask[1:, :]
    edge[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return edge


def _frame_f(pred: Mask, truth: Mask, reach: int) -> float:
    if np.array_equal(pred, truth):
        return 1.0  # equal boundaries, empty ones too
    window = _window(pred | truth)
    pred_edge, truth_edge = (
        np.argwhere(boundary(pred[window])),
        np.argwhere(boundary(truth[window])),
    )
    if len(pred_edge) == 0 or len(truth_edge) == 0:
        return float(len(pred_edge) == len(truth_edge))
    precision = _share_near(pred_edge, truth_edge, reach)
    recall = _share_near(truth_edge, pred_edge, reach)
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def _window(mask: Mask) -> tuple[slice, slice]:
    # The box around the foreground, one pixel wider: boundary pixels lie left of or above the
    # object too. Where the box is not cut off by the frame, its last row and column are empty,
    # so the special rules for the last row and column give the same there.
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(rows[0] - 1, 0), rows[-1] + 2),
        slice(max(columns[0] - 1, 0), columns[-1] + 2),
    )


def _share_near(points: NDArray[np.intp], others: NDArray[np.intp], reach: int) -> float:
    # Being within `reach` of a point is being inside the disk that the judge dilates with.
    # Distances between pixels are roots of whole numbers, so `<=` is exact; the half pixel only
    # tells the tree where to stop searching.
    tree = cKDTree(others, balanced_tree=False, compact_nodes=False)
    distances, _ = tree.query(points, distance_upper_bound=reach + 0.5)
    return np.count_nonzero(distances <= reach) / len(points)


def _require_clips(pred: Mask, truth: Mask) -> None:
    for name, masks in (("pred", pred), ("truth", truth)):
        if masks.ndim != 3 or masks.dtype != np.bool_:
            raise ValueError(f"{name} is {masks.dtype} {masks.shape}; it must be bool (T, H, W)")
    if pred.shape != truth.shape:
        raise ValueError(f"pred is {pred.shape} and truth {truth.shape}; they must be equal")
