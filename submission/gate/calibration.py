"""Choose the gate that gains most of Final at an expected share of no-target sentences.

Pure: a table in, a gate and its curve out. Videos are left out in turn, so that no sentence is
decided by a gate that has seen its video, and the interval draws whole videos.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from submission.gate.decision import MOST_KINDS, Gate
from submission.gate.fitting import fit, probabilities
from submission.gate.labelled import Final, Flags, Floats, Table, expected_final

MOST_FOLDS = 20  # with more videos than this, several are left out together
LEAST_GAIN = 1e-3  # of Final that another kind of evidence has to bring out of fold
RESAMPLES, SEED = 1000, 0


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
