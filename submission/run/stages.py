"""Remember what each finished stage was made from, so that it is not done again.

A stage is current when the record of its inputs equals the inputs of now. Records lie in
`<run>/stages`, one file for each stage and part, written after the result they speak of.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from submission.errors import InputError
from submission.files.strict_json import read_json
from submission.files.whole import write_json


class Stages:
    """The records below one run folder."""

    def __init__(self, run: Path) -> None:
        self.folder = run / "stages"

    def is_current(self, stage: str, inputs: Any, made: Iterable[Path] = ()) -> bool:
        """Tell whether the stage was finished with these inputs (JSON values).

        The small files that it made must be there and hold what they held then.
        """
        record = self.read(stage)
        if record.get("inputs") != _digest(inputs):
            return False
        return bool(record.get("made", []) == contents(made))

    def record(self, stage: str, inputs: Any, **result: Any) -> None:
        """Note that the stage is finished, and small facts about its result.

        "made" among them is what `contents` says of the small files that it made.
        """
        write_json(self._path(stage), {"inputs": _digest(inputs), **result})

    def read(self, stage: str) -> dict[str, Any]:
        """Return a stage's record, empty when there is none; a damaged one counts as none."""
        try:
            record = read_json(self._path(stage))
        except InputError:
            return {}  # the stage is simply done again
        return record if isinstance(record, dict) else {}

    def _path(self, stage: str) -> Path:
        return self.folder / f"{stage}.json"


def file_states(paths: Iterable[Path]) -> list[list[Any]]:
    """Name, size and time of change of files: enough to notice that one was written again."""
    states: list[list[Any]] = []
    for path in paths:
        stat = path.stat() if path.exists() else None
        states.append([path.name, stat.st_size, stat.st_mtime_ns] if stat else [path.name, None])
    return states


def contents(files: Iterable[Path]) -> list[list[str | None]]:
    """Name and SHA-256 of each file, None for one that is not there."""
    return [[path.name, sha256(path)] for path in files]


def sha256(path: Path) -> str | None:
    """The digest of a file in hexadecimal digits, None where no file is; 600 MB a second."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(inputs: Any) -> str:
    text = json.dumps(inputs, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
