"""Compare two scored results sentence by sentence, and say how sure the difference is.

Pure functions of numbers; the seed is part of the result, so that it can be had again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from submission.errors import Fault, FaultyInput
from submission.score.score_file import Result

SEED = 0
RESAMPLES = 10_000
COVERED = 0.95
DRAWS_AT_ONCE = 5_000_000  # of 8 bytes


@dataclass(frozen=True)
class Interval:
    """A percentile bootstrap interval of a mean."""

    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """B minus A in J&F, 0..1, over the sentences of both."""

    means: tuple[float, float]  # J&F of A and B
    differences: Mapping[str, float]  # by "VIDEO/ID", in the order of the split
    by_sentence: Interval  # sentences drawn with replacement
    by_video: Interval  # whole videos drawn: sentences of one video are not independent

    @property
    def difference(self) -> float:
        """B minus A."""
        return self.means[1] - self.means[0]

    def most_moved(self, count: int = 10) -> list[tuple[str, float]]:
        """Return the sentences whose J&F moved most, either way; ties in the split's order."""
        return sorted(self.differences.items(), key=lambda item: -abs(item[1]))[:count]


def compare(a: Result, b: Result, *, seed: int = SEED, resamples: int = RESAMPLES) -> Comparison:
    """Compare two results of the same sentences.

    Raises FaultyInput, naming them, when a sentence is in one of the results only.
    """
    _require_same(a, b)
    keys = list(a.expressions)
    before = np.array([sum(a.expressions[key]) / 2 for key in keys])
    after = np.array([sum(b.expressions[key]) / 2 for key in keys])
    difference = after - before
    videos = [key.rpartition("/")[0] for key in keys]
    return Comparison(
        means=(float(before.mean()), float(after.mean())),
        differences=dict(zip(keys, difference.tolist(), strict=True)),
        by_sentence=paired_bootstrap(difference, seed=seed, resamples=resamples),
        by_video=paired_bootstrap(difference, videos, seed=seed, resamples=resamples),
    )


def paired_bootstrap(
    differences: NDArray[np.float64],
    groups: Sequence[str] | None = None,
    *,
    seed: int = SEED,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return the percentile interval of the mean of paired differences, float (N,).

    Pairs are drawn with replacement; with `groups`, a name for each, whole groups are. Efron and
    Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13.
    """
    names = range(len(differences)) if groups is None else groups
    _, group = np.unique(np.asarray(names), return_inverse=True)
    sums, counts = np.bincount(group, differences), np.bincount(group)
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    at_once = max(1, DRAWS_AT_ONCE // len(sums))
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = random.integers(0, len(sums), (rows, len(sums)))
        means[start : start + rows] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    tail = (1 - COVERED) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _require_same(a: Result, b: Result) -> None:
    only_a = a.expressions.keys() - b.expressions.keys()
    only_b = b.expressions.keys() - a.expressions.keys()
    faults = [Fault(key, "only in A") for key in sorted(only_a)]
    faults += [Fault(key, "only in B") for key in sorted(only_b)]
    if faults or not a.expressions:
        raise FaultyInput(
            "The two results do not answer the same sentences:",
            faults or [Fault("both", "no sentence at all")],
            "Score both on the same split, with the same --videos and --limit.",
        )
