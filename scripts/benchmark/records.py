"""Rows of a benchmark as JSON lines: appended as they are finished, read back to go on.

A row counts as done for a later run when its case, machine and model code are the same.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from submission.errors import InputError

Row = dict[str, Any]
SAME = ("case", "machine")  # what makes two rows the same measurement


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file, none when there is no file.

    A last line without its end is what an interrupted run leaves, and is left out.
    Raises InputError for any other line that is no JSON object.
    """
    if not path.exists():
        return []
    rows: list[Row] = []
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: no JSON object; mend or remove the file")
        rows.append(row)
    return rows


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row, and wait until it is on disk; what an interrupted run left half is cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = f"{json.dumps(row, ensure_ascii=False)}\n".encode()
    with path.open("ab+") as file:
        file.truncate(_end_of_last_line(path))
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def find_row(rows: Sequence[Row], wanted: Mapping[str, Any]) -> Row | None:
    """Return the newest row of the same case on the same machine with the same code."""
    # Through JSON, as the stored rows have been: tuples are lists there.
    plain = json.loads(json.dumps({key: wanted[key] for key in SAME}))
    same = (row for row in reversed(rows) if all(row.get(key) == plain[key] for key in SAME))
    return next(same, None)


def _end_of_last_line(path: Path) -> int:
    return path.read_bytes().rfind(b"\n") + 1
