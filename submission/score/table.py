"""The score in words: a table of results side by side, the gain of the vote, the worst sentences.

Pure: scores in, lines out. Numbers are in percent, as papers and leaderboards print them.
"""

from collections.abc import Mapping

from submission.counted import counted
from submission.errors import Fault, list_faults
from submission.score.comparison import RESAMPLES, SEED, Comparison, Interval
from submission.score.score_file import VOTE, Flattery, Result, Scores
from submission.terminal.tables import Draw, aligned

SENTENCE_SHOWN = 60  # characters
# Columns of the table, the one that a narrow terminal leaves out first in front.
LEAST = ("J (targets)", "F (targets)", "J&F (targets)", "F", "J")


def score_lines(scores: Scores, draw: Draw = aligned) -> list[str]:
    """Return the table of all results, what the vote gains, and what leaving out flatters.

    `draw` makes lines of the table's rows, the headings first.
    """
    columns = list(next(iter(scores.results.values())).means)
    rows = [
        [name, *(_percent(result.means[column]) for column in columns)]
        for name, result in scores.results.items()
    ]
    lines = draw([["percent", *columns], *rows])
    if "Final" in columns:
        lines += [
            "MeViS v2: J, F and J&F are over all sentences, (targets) over those that mean",
            "an object; N-acc: no-target sentences left empty; T-acc: others answered with",
            "a mask; Final: mean of J&F (all sentences), N-acc and T-acc.",
        ]
    lines += _gain(scores.results)
    for name, flattery in scores.flattery.items():
        lines += _flattery_lines(name, flattery)
    return lines


def worst_lines(scores: Scores, count: int = 10) -> list[str]:
    """Return the sentences with the lowest J&F: those of the vote, or of the last result."""
    name = VOTE if VOTE in scores.results else list(scores.results)[-1]
    sentences = scores.sentences
    by_jf = sorted(scores.results[name].expressions.items(), key=lambda item: sum(item[1]))
    rows = [
        [_percent((j + f) / 2), _percent(j), _percent(f), key, _short(sentences.get(key, ""))]
        for key, (j, f) in by_jf[:count]
    ]
    title = f"worst {counted(len(rows), 'sentence')} of {name}:"
    return ["", title, *aligned([["J&F", "J", "F", "sentence", ""], *rows], left={3, 4})]


def fault_lines(scores: Scores, name: str) -> list[str]:
    """Return what counted 0 in a result because it is missing or damaged; nothing if complete."""
    faults = [
        Fault(entry["where"], entry["what"]) for entry in scores.missing if entry["result"] == name
    ]
    if not faults:
        return []
    number = "1 thing is" if len(faults) == 1 else f"{len(faults)} things are"
    title = f"{name}: {number} missing or damaged, and counted 0:"
    return list_faults(title, faults).splitlines()


def comparison_lines(
    comparison: Comparison, names: tuple[str, str], sentences: Mapping[str, str]
) -> list[str]:
    """Return what became better or worse from A to B; `sentences` by "VIDEO/ID"."""
    a, b = comparison.means
    moved = [item for item in comparison.most_moved() if item[1] != 0]
    better = sum(value > 0 for value in comparison.differences.values())
    worse = sum(value < 0 for value in comparison.differences.values())
    rows = [[_points(value), key, _short(sentences.get(key, ""))] for key, value in moved] or [
        ["none", "", ""]
    ]
    return [
        *aligned([["A", names[0], _percent(a)], ["B", names[1], _percent(b)]], left={0, 1}),
        f"B - A: {_points(b - a)} points of J&F over {len(comparison.differences)} sentences, "
        f"{better} better and {worse} worse",
        f"95 % interval: {_interval(comparison.by_sentence)} drawing sentences, "
        f"{_interval(comparison.by_video)} drawing whole videos",
        f"(paired bootstrap, {RESAMPLES} resamples, seed {SEED}; sentences of one video are alike, "
        "so the second is the honest one)",
        "sentences that moved most, in points of J&F:",
        *aligned(rows, left={1, 2}),
    ]


def _points(value: float) -> str:
    return f"{100 * value:+.2f}"


def _interval(interval: Interval) -> str:
    return f"{_points(interval.low)} to {_points(interval.high)}"


def _gain(results: Mapping[str, Result]) -> list[str]:
    experts = {name: result.means["J&F"] for name, result in results.items() if name != VOTE}
    if VOTE not in results or not experts:
        return []
    best = max(experts, key=lambda name: experts[name])
    points = _points(results[VOTE].means["J&F"] - experts[best])
    return [f"gain of the vote over the best single expert ({best}): {points} points of J&F"]


def _flattery_lines(name: str, flattery: Flattery) -> list[str]:
    number = len(flattery.left_out)
    if number == 0:
        return [f"{name}: as the official script counts it; it leaves no sentence out here"]
    return [
        f"{name}: as the official script counts it, {counted(number, 'sentence')} left "
        f"out: J&F {_percent(flattery.official)} where it is {_percent(flattery.strict)} strictly, "
        f"so it flatters by {_points(flattery.official - flattery.strict)} points"
    ]


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _short(sentence: str) -> str:
    # Sentences come from a file: nothing in them may steer a terminal.
    shown = "".join(letter if letter.isprintable() else "?" for letter in sentence)
    return shown if len(shown) <= SENTENCE_SHOWN else f"{shown[: SENTENCE_SHOWN - 3]}..."
