"""Means, their intervals, and the tables that show them: numbers in, lines out."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from scripts.sample_data.sentences import Sentence
from submission.score.scoring import ExpressionScore

RESAMPLES, BOOTSTRAP_SEED = 2000, 0
LATE = ("starts late", "last", "stops")  # meanings that the beginning of a clip does not show

Scored = tuple[ExpressionScore, Sentence]
Choice = Callable[[Scored], bool]


def mean_and_interval(
    clips: Sequence[Sequence[float]],
) -> tuple[float, float, float]:
    """Return the mean over all values and its 95 % interval when clips are drawn again."""
    sums = np.array([sum(values) for values in clips])
    counts = np.array([len(values) for values in clips])
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = rng.integers(len(clips), size=(RESAMPLES, len(clips)))
    means = sums[drawn].sum(axis=1) / np.maximum(counts[drawn].sum(axis=1), 1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(sums.sum() / counts.sum()), float(low), float(high)


def j_and_f(scored: Scored) -> float:
    """J&F of one sentence."""
    return (scored[0].j + scored[0].f) / 2


def is_right(scored: Scored) -> float:
    """Whether emptiness is right: what N-acc and T-acc count."""
    return float(scored[0].answers_rightly)


def has_target(scored: Scored) -> bool:
    return bool(scored[1].targets)


def is_late(scored: Scored) -> bool:
    return has_target(scored) and scored[1].meaning.startswith(LATE)


GROUPS: tuple[tuple[str, Choice, Callable[[Scored], float]], ...] = (
    ("all with a target", has_target, j_and_f),
    ("late or stopping", is_late, j_and_f),
    ("known wording", lambda s: has_target(s) and not s[1].is_held_out, j_and_f),
    ("held-out wording", lambda s: has_target(s) and s[1].is_held_out, j_and_f),
    ("N-acc", lambda s: not has_target(s), is_right),
    ("T-acc", has_target, is_right),
)


def table(
    scores: Mapping[str, Sequence[Sequence[Scored]]], groups: Sequence[str] = ()
) -> Iterator[str]:
    """Yield the lines of a Markdown table: a row for each result, a column for each group."""
    chosen = [group for group in GROUPS if not groups or group[0] in groups]
    yield "| | " + " | ".join(name for name, _, _ in chosen) + " |"
    yield "|---|" + "---|" * len(chosen)
    for result, clips in scores.items():
        cells = []
        for _, choice, value in chosen:
            values = [[value(one) for one in clip if choice(one)] for clip in clips]
            if not any(values):
                cells.append("no sentence")
                continue
            cells.append("{:.3f} [{:.3f}, {:.3f}]".format(*mean_and_interval(values)))
        yield f"| {result} | " + " | ".join(cells) + " |"


def by_meaning(scores: Mapping[str, Sequence[Sequence[Scored]]], names: Sequence[str]) -> str:
    """Return a table of J&F by meaning, for a few results."""
    known = [name for name in names if name in scores]
    meanings = sorted({s.meaning for clip in scores[known[0]] for _, s in clip if s.targets})
    lines = ["| meaning (sentences) | " + " | ".join(known) + " |", "|---|" + "---|" * len(known)]
    for meaning in meanings:
        columns = [
            [j_and_f(one) for clip in scores[name] for one in clip
             if has_target(one) and one[1].meaning == meaning]
            for name in known
        ]  # fmt: skip
        means = " | ".join(f"{np.mean(column):.3f}" for column in columns)
        lines.append(f"| {meaning} ({len(columns[0])}) | {means} |")
    return "\n".join(lines)


def difference(scores: Mapping[str, Sequence[Sequence[Scored]]], one: str, other: str) -> str:
    """Say by how much one result is better than another, sentence by sentence."""
    clips = [
        [j_and_f(a) - j_and_f(b) for a, b in zip(first, second, strict=True) if has_target(a)]
        for first, second in zip(scores[one], scores[other], strict=True)
    ]
    return "{:+.3f} [{:+.3f}, {:+.3f}]".format(*mean_and_interval(clips))
