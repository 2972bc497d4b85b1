"""Choose the gate that gains most of Final at an expected share of no-target sentences.

Pure: a table in, a gate and its curve out. Videos are left out in turn, so that no sentence is
decided by a gate that has seen its video, and the interval draws whole videos.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from submission.gate.decision import MOST_KINDS, Gate

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_FOLDS = 20  # with more videos than this, several are left out together
RIDGE = 1e-2  # of the weights, in units of spread: keeps a perfect separation finite
STEPS = 50  # Newton steps, at most
LEAST_GAIN = 1e-3  # of Final that another kind of evidence has to bring out of fold
RESAMPLES, SEED = 1000, 0


@dataclass(frozen=True)
class Table:
    """What calibrating asks of a labelled split: a row for each sentence.

    `j_and_f` and `found` are those of the vote as it is, `when_empty` the J&F of empty masks: 1
    without a target, else the share of frames in which nothing is to be seen.
    """

    videos: NDArray[np.int64]  # (N,), the number of each sentence's video
    evidence: dict[str, Floats]  # (N,) each, NaN where a sentence has none
    no_target: Flags  # (N,)
    j_and_f: Floats  # (N,)
    when_empty: Floats  # (N,)
    found: Flags  # (N,), any frame has foreground

    def rows(self, which: NDArray[np.generic]) -> "Table":
        """Return some of the rows, by flags or numbers."""
        return Table(
            self.videos[which],
            {name: values[which] for name, values in self.evidence.items()},
            self.no_target[which], self.j_and_f[which], self.when_empty[which], self.found[which],
        )  # fmt: skip

    @property
    def kinds(self) -> tuple[str, ...]:
        """The evidence that differs between sentences; other evidence decides nothing."""
        return tuple(
            name
            for name, values in self.evidence.items()
            if np.isfinite(values).any() and np.nanmax(values) > np.nanmin(values)
        )


@dataclass(frozen=True)
class Final:
    """The numbers of MeViS v2 at an expected share of no-target sentences, 0..1."""

    j_and_f: float
    n_acc: float
    t_acc: float

    @property
    def final(self) -> float:
        return (self.j_and_f + self.n_acc + self.t_acc) / 3


@dataclass(frozen=True)
class Interval:
    """Bounds of 95 %."""

    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """A gate, and what it is worth on videos that it has not seen."""

    gate: Gate
    before: Final  # without a gate
    after: Final  # out of fold
    seen: Final  # on the videos that it was fitted to
    gain: Interval  # of Final, out of fold
    tried: int  # combinations of evidence
    curve: tuple[tuple[float, float, Final], ...]  # cutoff, share of targets emptied, numbers
    n_acc_error: float  # standard error of N-acc, 0..1, from the number of no-target sentences


def expected_final(table: Table, emptied: Flags, share: float) -> Final:
    """Return the numbers where `emptied` sentences get empty masks, weighted to the share."""
    jf = np.where(emptied, table.when_empty, table.j_and_f)
    empty = emptied | ~table.found
    without, with_target = table.no_target, ~table.no_target
    j_and_f = share * jf[without].mean() + (1 - share) * jf[with_target].mean()
    return Final(float(j_and_f), float(empty[without].mean()), float((~empty)[with_target].mean()))


def best_cutoff(table: Table, probability: Floats, share: float) -> float:
    """Return the P(no target) above which emptying is best for Final.

    It lies between two sentences, in the middle of their log-odds (with one kind of evidence: in
    the middle of that); sentences that are equal are never parted. Of equal optima it is the one
    that empties least: the risk is on the side of targets.
    """
    order = np.argsort(-probability, kind="stable")
    gains = _gain_of_emptying(table, share)[order]
    probability = probability[order]
    total = np.concatenate([[0.0], np.cumsum(gains)])
    parts = np.append(probability[1:] < probability[:-1], True)
    possible = np.concatenate([[True], parts])
    highest = total[possible].max()
    count = int(np.flatnonzero(possible & (total >= highest - 1e-12))[0])
    if count == 0:
        return 1.0
    if count == len(probability):
        return 0.0
    odds = _log_odds(probability[count - 1 : count + 1])
    return float(1 / (1 + np.exp(-odds.mean())))


def fit(table: Table, kinds: Sequence[str], share: float) -> Gate:
    """Return the logistic sum of some evidence, weighted to the share, with its best cutoff.

    Sentences whose vote is empty anyhow say nothing about masks and are left out of the fit.
    """
    centres, scales = _spread(table, kinds)
    x, asked = _design(table, kinds, centres, scales), table.found
    y = table.no_target.astype(np.float64)
    weights = np.where(
        table.no_target, share / max(table.no_target.sum(), 1),
        (1 - share) / max((~table.no_target).sum(), 1),
    )  # fmt: skip
    beta = _logistic(x[asked], y[asked], weights[asked] * len(table.videos))
    gate = Gate(tuple(kinds), tuple(beta[1:].tolist()), centres, scales, float(beta[0]), 0.5, share)
    return replace(gate, cutoff=best_cutoff(table, probabilities(gate, table), share))


def probabilities(gate: Gate, table: Table) -> Floats:
    """Return P(no target) of every sentence, float (N,), as `Gate.probability` does."""
    x = _design(table, gate.evidence, gate.centres, gate.scales)
    result: Floats = 1 / (1 + np.exp(-np.clip(x @ np.array([gate.bias, *gate.weights]), -500, 500)))
    return result


def calibrate(table: Table, share: float, kinds: Sequence[str]) -> Calibration:
    """Choose evidence and cutoff by what they gain on videos left out, and fit them to all.

    The best single kind of evidence comes first; others join while they gain, up to four. Needs
    at least one sentence of each sort, and two videos.
    """
    before = expected_final(table, np.zeros(len(table.videos), bool), share)
    chosen: tuple[str, ...] = ()
    emptied, best, tried = np.zeros(len(table.videos), bool), before.final, 0
    while len(chosen) < MOST_KINDS:
        found = []
        for name in kinds:
            if name not in chosen:
                decided = left_out(table, (*chosen, name), share)
                found.append((expected_final(table, decided, share).final, name, decided))
        tried += len(found)
        if not found:
            break
        final, name, decided = max(found, key=lambda one: one[0])
        if chosen and final < best + LEAST_GAIN:
            break
        chosen, emptied, best = (*chosen, name), decided, final
    gate = fit(table, chosen, share)
    everywhere = probabilities(gate, table)
    return Calibration(
        gate,
        before,
        expected_final(table, emptied, share),
        expected_final(table, everywhere > gate.cutoff, share),
        _interval(table, emptied, share),
        tried,
        tuple(_curve(table, everywhere, gate.cutoff, share)),
        _standard_error(table, emptied),
    )


def left_out(table: Table, kinds: Sequence[str], share: float) -> Flags:
    """Return what is emptied by gates that have not seen the sentence's video, bool (N,)."""
    emptied = np.zeros(len(table.videos), bool)
    for fold in _folds(table.videos):
        rest = table.rows(~fold)
        if rest.no_target.all() or not rest.no_target.any():
            continue  # nothing to learn from without this fold: nothing is emptied
        gate = fit(rest, kinds, share)
        emptied[fold] = probabilities(gate, table.rows(fold)) > gate.cutoff
    return emptied


def _gain_of_emptying(table: Table, share: float) -> Floats:
    """What emptying each sentence does to Final, float (N,)."""
    counts = np.where(table.no_target, table.no_target.sum(), (~table.no_target).sum())
    weight = np.where(table.no_target, share, 1 - share) / counts
    right = np.where(table.no_target, 1.0, -1.0) * table.found / counts
    gains: Floats = (weight * (table.when_empty - table.j_and_f) + right) / 3
    return gains


def _log_odds(probability: Floats) -> Floats:
    inside = np.clip(probability, 1e-15, 1 - 1e-15)
    result: Floats = np.log(inside / (1 - inside))
    return result


def _spread(table: Table, kinds: Sequence[str]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    centres = [float(np.nanmean(table.evidence[name])) for name in kinds]
    scales = [float(np.nanstd(table.evidence[name])) or 1.0 for name in kinds]
    return tuple(centres), tuple(scales)


def _design(
    table: Table, kinds: Sequence[str], centres: Sequence[float], scales: Sequence[float]
) -> Floats:
    columns = [np.ones(len(table.videos))]
    for name, centre, scale in zip(kinds, centres, scales, strict=True):
        columns.append(np.nan_to_num((table.evidence[name] - centre) / scale, nan=0.0))
    return np.stack(columns, axis=1)


def _logistic(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Weighted logistic regression with a ridge on all but the bias, by Newton's method."""
    ridge = RIDGE * weights.sum() * np.diag([0.0, *np.ones(x.shape[1] - 1)])
    beta = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        slope = x.T @ (weights * (y - p)) - ridge @ beta
        curvature = (x * (weights * p * (1 - p))[:, None]).T @ x + ridge
        step = np.linalg.lstsq(curvature, slope, rcond=None)[0]
        beta = beta + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return np.asarray(beta)


def _folds(videos: NDArray[np.int64]) -> Iterator[Flags]:
    known = np.unique(videos)
    count = min(MOST_FOLDS, len(known))
    for number in range(count):
        yield np.isin(videos, known[number::count])


def _interval(table: Table, emptied: Flags, share: float) -> Interval:
    """The gain of Final, drawing whole videos; draws without one sort of sentence are left out."""
    generator = np.random.default_rng(SEED)
    known = np.unique(table.videos)
    rows = [np.flatnonzero(table.videos == video) for video in known]
    nothing = np.zeros_like(emptied)
    gains = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([rows[n] for n in generator.integers(0, len(known), len(known))])
        part = table.rows(drawn)
        if part.no_target.any() and not part.no_target.all():
            with_gate = expected_final(part, emptied[drawn], share).final
            gains.append(with_gate - expected_final(part, nothing[drawn], share).final)
    low, high = np.percentile(gains, [2.5, 97.5]) if gains else (np.nan, np.nan)
    return Interval(float(low), float(high))


def _curve(
    table: Table, probability: Floats, cutoff: float, share: float
) -> Iterator[tuple[float, float, Final]]:
    """Points from emptying nothing to emptying everything, the chosen one among them."""
    cutoffs = np.unique(np.quantile(probability, np.linspace(0, 1, 11)))
    for value in sorted({1.0, cutoff, *cutoffs.tolist()}, reverse=True):
        emptied = probability > value
        final = expected_final(table, emptied, share)
        yield float(value), float(emptied[~table.no_target].mean()), final


def _standard_error(table: Table, emptied: Flags) -> float:
    right = (emptied | ~table.found)[table.no_target]
    # One more right and one more wrong: a share of 1 of few sentences is no certainty.
    share = (right.sum() + 1) / (len(right) + 2)
    return float(np.sqrt(share * (1 - share) / len(right)))
