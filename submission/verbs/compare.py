"""The words of `compare`; no logic of their own."""

import argparse
from dataclasses import asdict

from submission.errors import InputError
from submission.score.comparison import compare
from submission.score.score_file import read_scores
from submission.score.table import comparison_lines
from submission.terminal.progress import Reporter
from submission.verbs.verb import Arguments, Verb, user_path


def _add_words(verb: argparse.ArgumentParser) -> None:
    for name in ("run_a", "run_b"):
        verb.add_argument(name, type=user_path, metavar=name.upper(), help="a run, or a score.json")
    verb.add_argument("--result", nargs="+", metavar="NAME",
                      help="which result of both, or of A and of B (default: vote)")  # fmt: skip


def _compare(arguments: Arguments, reporter: Reporter) -> None:
    names = arguments.result or [None]
    if len(names) > 2:
        raise InputError("--result: give one name for both runs, or one for A and one for B")
    files = [
        path / "score.json" if path.is_dir() else path
        for path in (arguments.run_a, arguments.run_b)
    ]
    a, b = (read_scores(file) for file in files)
    chosen = a.choose(names[0]), b.choose(names[-1])
    comparison = compare(a.results[chosen[0]], b.results[chosen[1]])
    shown = f"{arguments.run_a} {chosen[0]}", f"{arguments.run_b} {chosen[1]}"
    reporter.answer(
        results=chosen, means=comparison.means, by_sentence=asdict(comparison.by_sentence),
        by_video=asdict(comparison.by_video), differences=dict(comparison.differences),
    )  # fmt: skip
    reporter.result("\n".join(comparison_lines(comparison, shown, {**a.sentences, **b.sentences})))


VERB = Verb(
    "compare", "what moved between two scored runs, and is it chance?", "runs/before runs/after",
    _add_words, _compare, place=80,
)  # fmt: skip
