"""The words of `compare`; no logic of their own."""

import argparse
import shlex
from dataclasses import asdict
from pathlib import Path

from submission.errors import InputError
from submission.pipeline.score import is_of_earlier_zip
from submission.run.folder import RunFolder
from submission.score.comparison import compare
from submission.score.score_file import Scores, read_scores
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
    a, b = (_scores_of(path, reporter) for path in (arguments.run_a, arguments.run_b))
    chosen = a.choose(names[0]), b.choose(names[-1])
    comparison = compare(a.results[chosen[0]], b.results[chosen[1]])
    shown = f"{arguments.run_a} {chosen[0]}", f"{arguments.run_b} {chosen[1]}"
    reporter.answer(
        results=chosen, means=comparison.means, by_sentence=asdict(comparison.by_sentence),
        by_video=asdict(comparison.by_video), differences=dict(comparison.differences),
    )  # fmt: skip
    reporter.result("\n".join(comparison_lines(comparison, shown, {**a.sentences, **b.sentences})))


def _scores_of(path: Path, reporter: Reporter) -> Scores:
    if not path.is_dir():
        return read_scores(path)
    run = RunFolder(path)
    if is_of_earlier_zip(run):
        command = shlex.join(["mevis-submission", "score", str(path)])
        reporter.warn(f"{run.score}: it is of an earlier zip; score the one of now with: {command}")
    return read_scores(run.score)


VERB = Verb(
    "compare", "what moved between two scored runs, and is it chance?", "runs/before runs/after",
    _add_words, _compare, place=80,
)  # fmt: skip
