"""J and F of every frame: region similarity and boundary accuracy in the conventions of DAVIS.

Pure functions of two masks; nothing here knows of videos, sentences or files.
"""

import math

import numpy as np
from numpy.typing import NDArray

from submission.score.mask_window import Mask, Shape

BOUNDARY_TOLERANCE = 0.008  # of the image diagonal; rounded up to whole pixels


def frame_j(pred: Shape, truth: Shape) -> float:
    """Return J of a frame, 0..1: intersection over union; 1 where both are empty."""
    shared = pred.shared_area(truth)
    union = pred.area + truth.area - shared
    return shared / union if union else 1.0


def frame_f(pred: Shape, truth: Shape, reach: int) -> float:
    """Return F of a frame, 0..1: the harmonic mean of boundary precision and recall.

    A boundary pixel counts as found when the other mask has a boundary pixel at most `reach`
    pixels away (Euclidean). No boundary in either gives 1, in exactly one of them 0. A mask that
    fills its frame has no boundary, as with the judge.
    """
    ours, theirs = pred.outline, truth.outline
    if len(ours) == 0 or len(theirs) == 0:
        return float(len(ours) == len(theirs))
    precision, recall = ours.share_near(theirs, reach), theirs.share_near(ours, reach)
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def default_tolerance(height: int, width: int) -> int:
    """Return the tolerance of F in pixels for this frame size: 18 for 1920 x 1080."""
    return math.ceil(BOUNDARY_TOLERANCE * math.hypot(height, width))


def region_similarity(pred: Mask, truth: Mask) -> NDArray[np.float64]:
    """Return J of each frame, (T,); `frame_j` defines it.

    `pred` and `truth` are bool (T, H, W). Raises ValueError when their shapes differ.
    """
    _require_clips(pred, truth)
    return np.array([frame_j(p, t) for p, t in zip(*_shapes(pred, truth), strict=True)])


def boundary_accuracy(pred: Mask, truth: Mask, tolerance: int | None = None) -> NDArray[np.float64]:
    """Return F of each frame, (T,); `frame_f` defines it. The default tolerance is the judge's.

    `pred` and `truth` are bool (T, H, W). Raises ValueError when their shapes differ.
    """
    _require_clips(pred, truth)
    reach = default_tolerance(*pred.shape[1:]) if tolerance is None else tolerance
    return np.array([frame_f(p, t, reach) for p, t in zip(*_shapes(pred, truth), strict=True)])


def _shapes(*clips: Mask) -> list[list[Shape]]:
    return [[Shape.of_mask(mask) for mask in clip] for clip in clips]


def _require_clips(pred: Mask, truth: Mask) -> None:
    for name, masks in (("pred", pred), ("truth", truth)):
        if masks.ndim != 3 or masks.dtype != np.bool_:
            raise ValueError(f"{name} is {masks.dtype} {masks.shape}; it must be bool (T, H, W)")
    if pred.shape != truth.shape:
        raise ValueError(f"pred is {pred.shape} and truth {truth.shape}; they must be equal")
