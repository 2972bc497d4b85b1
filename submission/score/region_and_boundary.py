"""J and F of every frame: region similarity and boundary accuracy in the conventions of DAVIS.

Pure functions of two masks; nothing here knows of videos, sentences or files.
"""

import math

from submission.score.mask_window import Shape

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
