"""Agreement, counted by hand on a handful of pixels."""

import numpy as np
import pytest

from submission.masks.agreement import close_pixels, covered, iou_per_frame, pairwise_iou
from submission.masks.voting import decision_table

# Two frames, three experts in the bits 0 to 2; the second frame is empty.
LABELS = np.array([0b000, 0b001, 0b011, 0b111])
AREAS = np.array([[90, 1, 3, 6], [100, 0, 0, 0]])


def test_iou_counts_two_empty_masks_as_one():
    values = iou_per_frame(AREAS, covered(LABELS, 0), covered(LABELS, 1))
    assert values.tolist() == [9 / 10, 1.0]


def test_pairs_come_in_order():
    pairs = pairwise_iou(LABELS, AREAS, [0, 1, 2])
    assert pairs[:, 0].tolist() == [9 / 10, 6 / 10, 6 / 9]
    assert pairwise_iou(LABELS, AREAS, [1]).shape == (0, 2)


def test_with_three_experts_one_vote_decides_where_they_differ():
    assert close_pixels(LABELS, AREAS, [0, 1, 2], decision_table(3, "majority")) == (4, 10)


def test_what_all_experts_marked_is_not_close_although_one_could_turn_it():
    # Of two experts both are needed, so one could turn also what both marked.
    assert close_pixels(LABELS, AREAS, [0, 1], decision_table(2, "majority")) == (1, 10)


@pytest.mark.parametrize(("label", "close"), [(0b0001, 0), (0b0011, 1), (0b0111, 1), (0b1111, 0)])
def test_with_four_experts_a_single_one_is_far_from_a_majority(label, close):
    areas = np.array([[1]])
    table = decision_table(4, "majority")
    assert close_pixels(np.array([label]), areas, [0, 1, 2, 3], table) == (close, 1)


def test_an_expert_may_lie_in_any_layer():
    labels = np.array([0b100, 0b101])
    assert close_pixels(labels, np.array([[2, 5]]), [0, 2], decision_table(2, "majority")) == (2, 7)
