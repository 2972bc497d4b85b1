"""J and F against a slow, literal version of the definition, and against hand-made facts."""

import math

import numpy as np
import pytest

from submission.score.mask_window import Shape, boundary
from submission.score.region_and_boundary import default_tolerance, frame_f, frame_j


def each(measure, pred, truth, *more):
    """J or F of each frame of two clips, bool (T, H, W)."""
    pairs = zip(pred, truth, strict=True)
    return [measure(Shape.of_mask(a), Shape.of_mask(b), *more) for a, b in pairs]


def literal_boundary(mask):
    """The definition pixel by pixel: the frame is continued by zeros, then the rim is corrected."""
    height, width = mask.shape
    edge = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            right = mask[y, x + 1] if x + 1 < width else False
            below = mask[y + 1, x] if y + 1 < height else False
            across = mask[y + 1, x + 1] if x + 1 < width and y + 1 < height else False
            here = mask[y, x]
            edge[y, x] = here != right or here != below or here != across
    for x in range(width):
        edge[-1, x] = mask[-1, x] != (mask[-1, x + 1] if x + 1 < width else False)
    for y in range(height):
        edge[y, -1] = mask[y, -1] != (mask[y + 1, -1] if y + 1 < height else False)
    edge[-1, -1] = False
    return edge


def literal_dilation(edge, radius):
    """Paint a disk x^2 + y^2 <= radius^2 around every boundary pixel."""
    painted = np.zeros_like(edge)
    ys, xs = np.ogrid[: edge.shape[0], : edge.shape[1]]
    for y, x in np.argwhere(edge):
        painted |= (ys - y) ** 2 + (xs - x) ** 2 <= radius**2
    return painted


def literal_f(pred, truth, radius):
    pred_edge, truth_edge = literal_boundary(pred), literal_boundary(truth)
    if not pred_edge.any() and not truth_edge.any():
        return 1.0
    if not pred_edge.any() or not truth_edge.any():
        return 0.0
    precision = (pred_edge & literal_dilation(truth_edge, radius)).sum() / pred_edge.sum()
    recall = (truth_edge & literal_dilation(pred_edge, radius)).sum() / truth_edge.sum()
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def shapes(height, width):
    """Masks that meet every edge case at a small size, some of them random."""
    rng = np.random.default_rng(height * 1000 + width)
    blank = np.zeros((height, width), bool)
    masks = [blank, ~blank]
    for region in (
        (0, 0),
        (-1, -1),
        (height // 2, width // 2),
        (slice(None), 0),
        (slice(None), -1),
        (0, slice(None)),
        (-1, slice(None)),
        (slice(2, 6), slice(3, 8)),
        (slice(height - 4, None), slice(width - 5, None)),
    ):
        mask = blank.copy()
        mask[region] = True
        masks.append(mask)
    ring = ~blank
    ring[3:-3, 3:-3] = False
    return [*masks, ring, ~masks[2], *(rng.random((8, height, width)) < rng.random((8, 1, 1)))]


@pytest.mark.parametrize(("height", "width"), [(12, 17), (9, 9)])
@pytest.mark.parametrize("tolerance", [1, 2, 5])
def test_equals_the_literal_definition(height, width, tolerance):
    masks = shapes(height, width)
    pred = np.array([a for a in masks for _ in masks])
    truth = np.array([b for _ in masks for b in masks])
    expected = [literal_f(a, b, tolerance) for a, b in zip(pred, truth, strict=True)]
    assert each(frame_f, pred, truth, tolerance) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("tolerance", [3, 7, 12, 18])
def test_equals_the_literal_definition_where_cells_are_larger_than_a_pixel(tolerance):
    rng = np.random.default_rng(tolerance)
    truth = np.zeros((12, 61, 83), bool)
    for mask in truth:
        top, left, height, width = rng.integers(0, (40, 60, 40, 40))
        mask[top : top + height + 1, left : left + width + 1] = True
    pred = np.array([np.roll(mask, rng.integers(-25, 25, 2), (0, 1)) for mask in truth])
    pred ^= rng.random(pred.shape) < rng.choice([0, 0.001, 0.01], (12, 1, 1))
    expected = [literal_f(a, b, tolerance) for a, b in zip(pred, truth, strict=True)]
    assert len(set(expected)) > 6  # neither all found nor all lost
    assert each(frame_f, pred, truth, tolerance) == pytest.approx(expected, abs=1e-12)


def test_boundary_map_equals_the_literal_definition():
    for mask in shapes(11, 8):
        assert np.array_equal(boundary(mask), literal_boundary(mask))


def test_region_similarity_is_intersection_over_union():
    pred, truth = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
    pred[1, :2], truth[1, 1:3] = True, True  # 4 shared of 12
    pred[2, 0, 0] = True  # nothing to find
    truth[3, 0, 0] = True  # nothing found
    assert each(frame_j, pred, truth) == [1.0, 4 / 12, 0.0, 0.0]


def test_a_shift_within_the_tolerance_keeps_f_at_one_and_one_more_pixel_does_not():
    truth = np.zeros((1, 60, 60), bool)
    truth[0, 20:40, 20:40] = True
    shifted = [np.roll(truth, step, axis=2) for step in (3, 4)]
    within, beyond = (each(frame_f, pred, truth, 3)[0] for pred in shifted)
    assert within == 1.0
    assert beyond < 1.0


def test_tolerance_grows_with_the_frame_and_is_rounded_up():
    assert default_tolerance(480, 854) == math.ceil(0.008 * math.hypot(480, 854)) == 8
    assert default_tolerance(1080, 1920) == 18
    assert default_tolerance(3, 4) == 1
