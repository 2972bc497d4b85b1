"""How far experts agree, and how well they meet the truth, counted exactly from label runs.

Knows labels and areas, nothing of files or of the page. Conventions are those of the score: a frame
counts 1 where both masks are empty; means are over all frames of a sentence.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from submission.dataset.rle import Integers

Flags = NDArray[np.bool_]
Ious = NDArray[np.float64]


def covered(labels: Integers, layer: int) -> Flags:
    """Tell which labels lie in a layer, bool (L,)."""
    return (labels >> layer & 1).astype(np.bool_)


def iou_per_frame(areas: Integers, one: Flags, other: Flags) -> Ious:
    """Return intersection over union for each frame, float (T,), from areas, int (T, L).

    `one` and `other`, bool (L,), say which labels belong to each mask.
    """
    together = areas[:, one & other].sum(axis=1)
    either = areas[:, one | other].sum(axis=1)
    return np.where(either == 0, 1.0, together / np.maximum(either, 1))


def pairwise_iou(labels: Integers, areas: Integers, layers: Sequence[int]) -> Ious:
    """Return the IoU of every pair of layers in every frame, float (P, T).

    The pairs come in the order of `itertools.combinations`; fewer than two layers have none.
    """
    pairs = [
        iou_per_frame(areas, covered(labels, one), covered(labels, other))
        for one, other in combinations(layers, 2)
    ]
    return np.stack(pairs) if pairs else np.empty((0, len(areas)))


def close_pixels(
    labels: Integers, areas: Integers, layers: Sequence[int], table: Flags
) -> tuple[int, int]:
    """Return how many pixels one vote decided, and how many any expert marked.

    A pixel is decided by one vote where the experts differ and one of them, by changing its mind,
    would change the result. `table` is the decision table of the vote, bool (2**K,); `layers`
    gives the layer of each of its K members.
    """
    ballots = ballots_of(labels, layers)
    everyone = (1 << len(layers)) - 1
    turned = [table[ballots] != table[ballots ^ (1 << member)] for member in range(len(layers))]
    close = np.any(turned, axis=0) & (ballots != 0) & (ballots != everyone)
    return int(areas[:, close].sum()), int(areas[:, ballots != 0].sum())


def ballots_of(labels: Integers, layers: Sequence[int]) -> Integers:
    """Return for each label the votes of the members, bit k of member k, int (L,)."""
    ballots = np.zeros_like(labels)
    for member, layer in enumerate(layers):
        ballots |= (labels >> layer & 1) << member
    return ballots
