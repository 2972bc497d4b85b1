"""A vote is decided pixel by pixel, exactly, by rules that can be counted on fingers."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from submission.masks.track import Track
from submission.masks.voting import decision_table, vote_tracks


def vote(masks, rule, weights=None):
    """The vote as it is defined: pixel by pixel, on arrays (T, H, W)."""
    codes = sum(mask.astype(int) << member for member, mask in enumerate(masks))
    return decision_table(len(masks), rule, weights)[codes]


def encoded(masks):
    return [Track.encode(mask) for mask in masks]


def needed(num_members, rule):
    """Return how many of K equal members must say yes."""
    table = decision_table(num_members, rule)
    return min(bin(code).count("1") for code in range(len(table)) if table[code])


def test_majority_needs_more_than_half():
    assert [needed(k, "majority") for k in (1, 2, 3, 4, 5, 7)] == [1, 2, 2, 3, 3, 4]


def test_paper_needs_more_than_half_of_one_more():
    assert [needed(k, "paper") for k in (1, 2, 3, 4, 5, 7)] == [1, 2, 3, 3, 4, 5]


@pytest.mark.parametrize("rule", ["majority", "paper"])
@pytest.mark.parametrize("weights", [None, [1, 1, 1, 1], [0.1, 0.2, 0.3, 0.4], [5, 1, 1, 1]])
def test_every_combination_agrees_with_the_rule_in_fractions(rule, weights):
    exact = [Fraction(str(weight)) for weight in weights or [1] * 4]
    scale = Fraction(4) / sum(exact)
    threshold = Fraction(4, 2) if rule == "majority" else Fraction(5, 2)
    table = decision_table(4, rule, weights)
    for code in range(16):
        yes = sum(exact[bit] for bit in range(4) if code >> bit & 1) * scale
        assert table[code] == (yes > threshold)


def test_weights_mean_their_decimal_digits():
    assert 0.1 + 0.2 > 0.3  # as floats there would be no tie
    assert not decision_table(3, "majority", [0.1, 0.2, 0.3])[0b011]
    assert decision_table(3, "majority", [0.1, 0.2, 0.2999])[0b011]


def test_one_member_is_its_own_answer():
    mask = np.random.default_rng(0).random((2, 5, 6)) < 0.5
    for rule in ("majority", "paper"):
        assert vote_tracks(encoded([mask]), rule, [0.3]) == Track.encode(mask)


@pytest.mark.parametrize("rule", ["majority", "paper"])
def test_the_order_of_the_members_does_not_matter(rule):
    tracks = encoded(np.random.default_rng(1).random((3, 2, 5, 6)) < 0.5)
    weights = [0.7, 1.1, 0.4]
    votes = [
        vote_tracks([tracks[k] for k in order], rule, [weights[k] for k in order])
        for order in itertools.permutations(range(3))
    ]
    assert all(votes[0] == other for other in votes)


@pytest.mark.parametrize("num_members", [1, 2, 3, 4])
@pytest.mark.parametrize("rule", ["majority", "paper"])
def test_tracks_vote_alike_from_nearly_empty_to_nearly_full(num_members, rule):
    rng = np.random.default_rng(num_members)
    densities = np.array([0, 0.01, 0.3, 0.9, 1])[:, None, None]
    masks = [rng.random((5, 7, 6)) < rng.permutation(densities) for _ in range(num_members)]
    weights = [0.5 + member for member in range(num_members)]
    voted = vote_tracks(encoded(masks), rule, weights)
    assert voted == Track.encode(vote(masks, rule, weights))


@pytest.mark.parametrize("num_members", [2, 3, 9, 16])
def test_tracks_and_arrays_vote_alike(num_members):
    masks = np.random.default_rng(2).random((num_members, 3, 9, 8)) < 0.5
    masks[:, 1] = masks[0, 1]  # a frame on which all agree
    voted = vote(list(masks), "majority")
    assert np.array_equal(voted, masks.sum(axis=0) * 2 > num_members)
    assert np.array_equal(voted[1], masks[0, 1])
    assert vote_tracks(encoded(masks), "majority") == Track.encode(voted)


@pytest.mark.parametrize("num_members", [0, 17])
def test_the_number_of_members_is_bounded(num_members):
    with pytest.raises(ValueError, match="1 to 16 members"):
        decision_table(num_members, "majority")


@pytest.mark.parametrize("weights", [[1, 0], [1, -1], [1, float("nan")], [1, float("inf")], [1]])
def test_weights_must_be_positive_and_one_for_each_member(weights):
    with pytest.raises(ValueError, match="weight"):
        decision_table(2, "majority", weights)


def test_unknown_rules_and_unequal_shapes_are_refused():
    a, b = np.zeros((1, 2, 3), dtype=bool), np.zeros((1, 3, 2), dtype=bool)
    with pytest.raises(ValueError, match="unanimous"):
        decision_table(2, "unanimous")
    with pytest.raises(ValueError, match="different shapes"):
        vote_tracks(encoded([a, b]), "majority")
