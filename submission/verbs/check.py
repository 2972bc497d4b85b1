"""The words of `check`, and against which data a result is held."""

import argparse
from pathlib import Path

from submission.errors import FaultyResult
from submission.output.check import Verdict
from submission.pipeline.check import CHECK_UNITS, check_files, keep_verdict
from submission.pipeline.submit import read_data
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
    split = read_data(data_only(arguments), selection(arguments), reporter)
    reporter.plan(split.num_masks * CHECK_UNITS)
    out = _beside(arguments, "check.json")
    verdict = check_files(arguments.path, split, require_team=arguments.team, reporter=reporter)
    reporter.answer(verdict=verdict.to_json())
    told = verdict.summary()
    if names_no_data(arguments):
        told = _against_sample(verdict, told)
    if keep_verdict(verdict, out, reporter):
        told += f"\nThe {'verdict' if verdict.ok else 'list'} as JSON: {out}"
    elif arguments.out is None:
        told += "\nTo keep it as JSON, name another folder: --out DIR"
    if not verdict.ok:
        raise FaultyResult(told)
    print(told)


def _against_sample(verdict: Verdict, told: str) -> str:
    """Say that no data was named; where nothing fits the sample, only that."""
    if verdict.counts["files"] == 0:
        return (
            f"{verdict.path}: it has no mask of the sample split, which it was held against "
            "because no data was named; give --data DIR --split NAME"
        )
    return f"held against the sample split (for another: --data DIR --split NAME)\n{told}"


def _beside(arguments: Arguments, name: str) -> Path:
    path: Path = arguments.path
    if arguments.out is not None:
        return Path(arguments.out) / name
    return path.parent / f"{path.name}.{name}"


VERB = Verb(
    "check", "read a zip or folder of PNGs as the judge does",
    "submission.zip --data /data/mevis --split valid", _add_words, _check, place=60,
)  # fmt: skip
