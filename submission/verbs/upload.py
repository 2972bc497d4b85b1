"""The words of `upload`; no logic of their own."""

import argparse
import re
from pathlib import Path
from typing import Any

from submission.dataset.records import DataNames
from submission.errors import InputError
from submission.files.strict_json import read_json
from submission.pipeline.upload import Call, Upload
from submission.run.results import data_of_run, is_run
from submission.terminal.progress import Reporter
from submission.upload.competitions import SERVER
from submission.verbs.data import data_only
from submission.verbs.verb import Arguments, Verb, user_path

UNITS = {"s": 1, "m": 60, "h": 3600}


def _add_words(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("path", type=user_path, metavar="RUN_OR_ZIP",
                      help="a run, whose submission.zip is meant, or any zip of masks")  # fmt: skip
    verb.add_argument("--competition", type=int, metavar="NUMBER",
                      help="its number, such as 12222 (v1) or 11420 (v2)")  # fmt: skip
    verb.add_argument("--phase", metavar="NAME",
                      help="name or number (default: the one that is going on)")  # fmt: skip
    verb.add_argument("--wait", default="2h", metavar="TIME",
                      help="for scores, at most: 2h, 30m, 0 (default: %(default)s)")  # fmt: skip
    verb.add_argument("--yes", action="store_true", help="do not ask before it is submitted")
    verb.add_argument("--again", action="store_true",
                      help="submit once more what was submitted before; uses a try")  # fmt: skip
    verb.add_argument("--fact-sheet", type=user_path, metavar="FILE.json",
                      help="answers, where the competition has a fact sheet")  # fmt: skip
    verb.add_argument("--server", default=SERVER, metavar="URL", help="default: %(default)s")
    instead = verb.add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true",
                         help="check everything, say what would be done, and stop")  # fmt: skip
    instead.add_argument("--status", action="store_true", help="look at the last upload, once")
    instead.add_argument("--cancel", action="store_true", help="take the last upload back")
    instead.add_argument("--leaderboard", action="store_true", help="print place and neighbours")
    for name, what, word in (("--data", "the folder that holds the splits", "DIR"),
                             ("--split", "the split that the zip answers", "NAME"),
                             ("--meta", "the JSON with its sentences", "FILE")):  # fmt: skip
        verb.add_argument(name, type=user_path if name == "--data" else str, metavar=word,
                          help=f"{what} (default: what the run records)")  # fmt: skip


def _upload(arguments: Arguments, reporter: Reporter) -> None:
    call = Call(
        arguments.path, arguments.competition, arguments.phase, arguments.server.rstrip("/"),
        _answers(arguments.fact_sheet), seconds_of(arguments.wait), arguments.again,
    )  # fmt: skip
    if not arguments.path.exists():
        raise InputError(f"{arguments.path}: no such run or zip; name one that submit or pack made")
    upload = Upload(call, reporter)
    if arguments.status:
        lines = upload.status()
    elif arguments.cancel:
        lines = upload.cancel(agreed=arguments.yes)
    elif arguments.leaderboard:
        lines = upload.leaderboard()
    else:
        lines = upload.send(_data(arguments), dry=arguments.dry_run, agreed=arguments.yes)
    reporter.result("\n".join(lines))


def seconds_of(text: str) -> float:
    """Return a time such as 2h, 90m, 45s or 0 in seconds. Raises InputError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if found is None or (not found[2] and float(found[1])):
        raise InputError(f"--wait {text}: it must be a time such as 2h, 90m, 45s or 0")
    return float(found[1]) * UNITS[found[2] or "s"]


def _data(arguments: Arguments) -> DataNames:
    """Where the data lie that the zip answers."""
    folder = arguments.path if arguments.path.is_dir() else arguments.path.parent
    recorded = data_of_run(folder) if is_run(folder) else None
    if recorded is None and (arguments.data is None or arguments.split is None):
        raise InputError(
            f"{arguments.path}: no run says which split this answers: give --data DIR and --split "
            "NAME, so that the zip can be checked"
        )
    if recorded is None:
        return data_only(arguments)
    return DataNames(arguments.data, arguments.split, arguments.meta).or_else(recorded)


def _answers(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    answers = read_json(path)
    if not isinstance(answers, dict):
        raise InputError(f"{path}: it must be an object of answers by key")
    return answers


VERB = Verb(
    "upload", "hand the zip in where MeViS is judged, once, and wait",
    "runs/mine --competition 12222 --dry-run\n  mevis-submission upload runs/mine --status",
    _add_words, _upload, place=100,
)  # fmt: skip
