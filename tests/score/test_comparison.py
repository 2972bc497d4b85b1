"""Two results compared: what moved, and an interval that knows that pairs belong together."""

import numpy as np
import pytest

from submission.errors import FaultyInput
from submission.score.comparison import compare, paired_bootstrap
from submission.score.score_file import Result
from submission.score.table import comparison_lines


def result(values):
    """A result with J = F = value for each sentence."""
    return Result(means={}, expressions={key: (value, value) for key, value in values.items()})


def many(shift, spread, count=400):
    rng = np.random.default_rng(1)
    before = rng.random(count)
    after = before + shift + spread * rng.normal(size=count)
    keys = [f"v{number // 8}/{number % 8}" for number in range(count)]
    return (result(dict(zip(keys, values.tolist(), strict=True))) for values in (before, after))


def test_an_equal_result_has_no_difference():
    a, _ = many(0, 0)
    comparison = compare(a, a)
    assert comparison.difference == 0
    assert (comparison.by_sentence.low, comparison.by_sentence.high) == (0, 0)


def test_a_constant_gain_is_certain_however_much_sentences_differ():
    a, b = many(0.02, 0)
    interval = compare(a, b).by_sentence
    assert interval.low == pytest.approx(0.02)
    assert interval.high == pytest.approx(0.02)


def test_the_interval_is_as_wide_as_theory_says():
    a, b = many(0.01, 0.1)
    comparison = compare(a, b)
    expected = 1.96 * 0.1 / 400**0.5  # of the mean of 400 differences with a spread of 0.1
    width = (comparison.by_sentence.high - comparison.by_sentence.low) / 2
    assert width == pytest.approx(expected, rel=0.1)
    assert comparison.by_sentence.low < comparison.difference < comparison.by_sentence.high


def test_sentences_of_a_video_that_move_together_widen_the_interval_over_videos():
    rng = np.random.default_rng(2)
    differences = np.repeat(rng.normal(0, 0.1, 50), 8)
    groups = [f"v{number // 8}" for number in range(400)]
    alone, together = paired_bootstrap(differences), paired_bootstrap(differences, groups)
    ratio = (together.high - together.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(8**0.5, rel=0.1)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    differences = np.random.default_rng(3).normal(size=100)
    assert paired_bootstrap(differences) == paired_bootstrap(differences)
    assert paired_bootstrap(differences, seed=1) != paired_bootstrap(differences)


def test_the_interval_does_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    differences = np.random.default_rng(4).normal(size=60)
    at_once = paired_bootstrap(differences)
    monkeypatch.setattr("submission.score.comparison.DRAWS_AT_ONCE", 600)
    assert paired_bootstrap(differences) == at_once


def test_the_sentences_that_moved_most_come_first_either_way():
    a = result({"v/0": 0.5, "v/1": 0.5, "w/0": 0.5, "w/1": 0.5})
    b = result({"v/0": 0.6, "v/1": 0.1, "w/0": 0.5, "w/1": 0.4})
    comparison = compare(a, b)
    assert [key for key, _ in comparison.most_moved(2)] == ["v/1", "v/0"]
    text = "\n".join(comparison_lines(comparison, ("one", "two"), {"v/1": "the dog"}))
    assert "B - A: -10.00 points of J&F over 4 sentences, 1 better and 2 worse" in text
    assert "-40.00  v/1  the dog" in text
    assert "w/0" not in text  # it did not move
    assert "seed 0" in text


def test_results_of_different_sentences_are_refused_with_all_of_them():
    a = result({"v/0": 0.5, "v/1": 0.5})
    b = result({"v/0": 0.6, "w/0": 0.1})
    with pytest.raises(FaultyInput, match="do not answer the same sentences") as error:
        compare(a, b)
    assert [str(fault) for fault in error.value.faults] == ["v/1: only in A", "w/0: only in B"]
