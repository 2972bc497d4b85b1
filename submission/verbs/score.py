"""The words of `score`; no logic of their own."""

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path

from submission.dataset.records import DataNames, Split
from submission.errors import FaultyResult
from submission.pipeline.read import read_data
from submission.pipeline.score import SCORE_UNITS, score_results, score_run
from submission.run.folder import RunFolder
from submission.run.results import data_of_run, find_results, is_run, run_of
from submission.score.answers import PngSource
from submission.score.score_file import Scores, unwritten_scores, write_scores
from submission.score.scoring import Score
from submission.score.table import (
    LEAST,
    fault_lines,
    score_lines,
    worst_lines,
)
from submission.terminal.progress import Reporter
from submission.terminal.tables import aligned, drawing
from submission.verbs.data import add_data, add_out, add_run, data_only, named_recipe, selection
from submission.verbs.verb import Arguments, Verb, user_path


def _add_words(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("path", type=user_path, nargs="?", metavar="PATH",
                      help="folder or zip of PNGs, or a run (default: that of --run)")  # fmt: skip
    add_run(verb, "whose data (default: what the run records, else the sample)",
            "the run to score (default: runs/RECIPE)")  # fmt: skip
    verb.add_argument("--official", action="store_true",
                      help="leave sentences with missing frames out, as the public script does, "
                      "and say by how much that flatters")  # fmt: skip
    add_data(verb)
    add_out(verb)


def _score(arguments: Arguments, reporter: Reporter) -> None:
    path = arguments.path or arguments.run or Path("runs") / named_recipe(arguments).name
    split = read_data(_data_of(path, arguments), selection(arguments), reporter)
    results = find_results(path, split)
    reporter.plan(split.num_masks * len(results) * SCORE_UNITS)
    out = _score_file(path, arguments)
    written = True
    if out == RunFolder(path).score:
        scores = score_run(split, RunFolder(path), reporter)
    else:
        measured = score_results(results, split, reporter)
        scores, written = _keep(out, split, measured, arguments.official, reporter)
    reporter.answer(scores=scores.means, file=out if written else None)
    reporter.result("\n".join(score_lines(scores, drawing(aligned, LEAST)) + worst_lines(scores)))
    if written:
        reporter.result(f"\nevery sentence: {out} and {out.with_suffix('.csv').name}")
    judged = results[-1]  # the vote, or what was given
    pngs = judged.path if isinstance(judged, PngSource) else None
    _report_missing(scores, reporter, _check_command(pngs, split) if pngs else "")


def _keep(
    out: Path, split: Split, measured: Mapping[str, Score], official: bool, reporter: Reporter
) -> tuple[Scores, bool]:
    """Write the scores, and tell whether that could be; what took minutes is never lost."""
    try:
        return write_scores(out, split, measured, official=official), True
    except OSError as error:
        reporter.warn(
            f"{out}: the scores could not be kept here ({error.strerror or error}); to have them "
            "as a file, name another folder: --out DIR"
        )
        return unwritten_scores(split, measured, official=official), False


def _data_of(path: Path, arguments: Arguments) -> DataNames:
    """Where the data lie: for a run, or a part of one, without other words as its record says."""
    run = run_of(path) if arguments.recipe is None else None
    recorded = data_of_run(run) if run else None
    if recorded is None or arguments.split is not None:
        return data_only(arguments)
    return DataNames(arguments.data, None, arguments.meta).or_else(recorded)


def _score_file(path: Path, arguments: Arguments) -> Path:
    # The score of a run is always the strict one; the other goes beside it.
    name = "score-official.json" if arguments.official else "score.json"
    out: Path | None = arguments.out
    if is_run(path) and (out is None or out.resolve() == path.resolve()):
        return path / name
    return out / "score.json" if out else path.parent / f"{path.resolve().name}.{name}"


def _check_command(path: Path, split: Split) -> str:
    words = ["check", str(path), "--data", str(split.root), "--split", split.name]
    return shlex.join(["mevis-submission", *words])


def _report_missing(scores: Scores, reporter: Reporter, check: str) -> None:
    """Name what counted 0: a fault of the result that would be uploaded, else a warning."""
    judged = list(scores.results)[-1]  # the vote, or what was given
    for name in scores.results:
        lines = fault_lines(scores, name)
        if lines and name != judged:
            reporter.warn("\n".join(lines))
    if lines := fault_lines(scores, judged):
        if check:  # which knows nearly right names, such as frames that are counted from 1
            lines.append(f"What is wrong with its files, and their names, is told by: {check}")
        raise FaultyResult("\n".join(lines))


VERB = Verb(
    "score", "J, F and J&F of masks, or of a run with all its experts",
    "submission.zip --data /data/mevis --split valid_u\n"
    "  mevis-submission score --run runs/mine", _add_words, _score, place=70,
)  # fmt: skip
