"""Fit a gate to labelled sentences: a logistic sum of evidence, and the best cutoff on it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from submission.gate.decision import Gate
from submission.gate.labelled import Floats, Table

RIDGE = 1e-2  # of the weights, in units of spread: keeps a perfect separation finite
STEPS = 50  # Newton steps, at most


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
