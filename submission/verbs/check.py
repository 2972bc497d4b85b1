"""The words of `check`, and against which data a result is held."""

import argparse
from pathlib import Path

from submission.dataset.records import DataNames
from submission.errors import FaultyResult
from submission.output.check import Verdict
from submission.pipeline.check import CHECK_UNITS, check_files, keep_verdict
from submission.pipeline.read import read_data
from submission.run.folder import RunFolder
from submission.run.results import data_of_run, is_run, run_of
from submission.terminal.progress import Reporter
from submission.verbs.data import add_data, add_out, data_only, names_no_data, selection
from submission.verbs.verb import Arguments, Verb, user_path


def _add_words(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("path", type=user_path, metavar="ZIP_OR_FOLDER",
                      help="of masks, VIDEO/EXPRESSION/FRAME.png")  # fmt: skip
    verb.add_argument("--team", action="store_true",
                      help="team.json, which some challenges ask for, must be there")  # fmt: skip
    add_data(verb)
    add_out(verb)


def _check(arguments: Arguments, reporter: Reporter) -> None:
    path = RunFolder(arguments.path).zip if is_run(arguments.path) else arguments.path
    recorded = _recorded(path, arguments)
    split = read_data(recorded or data_only(arguments), selection(arguments), reporter)
    reporter.plan(split.num_masks * CHECK_UNITS)
    out = _beside(path, arguments.out, "check.json")
    verdict = check_files(path, split, require_team=arguments.team, reporter=reporter)
    reporter.answer(verdict=verdict.to_json())
    told = verdict.summary()
    if recorded is None and names_no_data(arguments):
        told = _against_sample(verdict, told)
    if keep_verdict(verdict, out, reporter):
        told += f"\nThe {'verdict' if verdict.ok else 'list'} as JSON: {out}"
    elif arguments.out is None:
        told += "\nTo keep it as JSON, name another folder: --out DIR"
    if not verdict.ok:
        raise FaultyResult(told)
    reporter.result(told)


def _against_sample(verdict: Verdict, told: str) -> str:
    """Say that no data was named; where nothing in a readable zip fits the sample, only that."""
    is_unread = any(fault.where == verdict.path.name for fault in verdict.faults)
    if verdict.counts["files"] == 0 and not is_unread:
        return (
            f"{verdict.path}: it has no mask of the sample split, which it was held against "
            "because no data was named; give --data DIR --split NAME"
        )
    return f"held against the sample split (for another: --data DIR --split NAME)\n{told}"


def _recorded(path: Path, arguments: Arguments) -> DataNames | None:
    """Where the data of a run lie, for its zip or PNGs; None where the call names others."""
    run = run_of(path) if arguments.data is None and arguments.split is None else None
    recorded = data_of_run(run) if run else None
    return DataNames(None, None, arguments.meta).or_else(recorded) if recorded else None


def _beside(path: Path, out: Path | None, name: str) -> Path:
    if out is not None:
        return out / name
    return path.parent / f"{path.name}.{name}"


VERB = Verb(
    "check", "read a zip or folder of PNGs as the judge does",
    "submission.zip --data /data/mevis --split valid", _add_words, _check, place=60,
)  # fmt: skip
