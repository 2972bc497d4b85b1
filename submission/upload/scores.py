"""The numbers that came back, beside our own of the same zip and those that others publish.

Pure but for the two records: scores go into upload.json (journal) and into the run's run.json.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from submission.files.strict_json import read_json
from submission.files.whole import write_json
from submission.terminal.tables import aligned
from submission.upload.answers import Column, Submission
from submission.upload.codabench import Codabench


def flat_scores(server: Codabench, state: Submission) -> dict[str, float]:
    """Return scores by column; those of several tasks get the number of their child behind them."""
    if not state.children:
        return {key: values[-1] for key, values in state.scores.items()}
    children = [server.submission(child) for child in state.children]
    return {
        f"{key} ({child.id})": values[-1]
        for child in children
        for key, values in child.scores.items()
    }


def failed_children(server: Codabench, state: Submission) -> list[Submission]:
    """Return the tasks that did not finish: their parent says Finished all the same."""
    children = [server.submission(child) for child in state.children]
    return [child for child in children if child.status != "Finished"]


def keep_in_run(record: Path, upload: Mapping[str, Any]) -> None:
    """Put an upload with its scores into run.json, in place of an earlier state of the same."""
    if not record.is_file():
        return
    values = dict(read_json(record))
    others = [one for one in values.get("uploads", []) if one["submission"] != upload["submission"]]
    write_json(record, {**values, "uploads": [*others, dict(upload)]})


def score_lines(
    scores: Mapping[str, float], columns: Sequence[Column],
    others: Mapping[str, Mapping[str, float]],
) -> list[str]:  # fmt: skip
    """Return a table in percent: the server's row, and a row for each of `others` (in percent).

    Servers give fractions or percent; a row whose numbers all lie in 0..1 is taken as fractions.
    """
    hidden = {column.key for column in columns if column.hidden}
    titles = {column.key: column.title for column in columns}
    order = [column.key for column in columns if column.key in scores]
    keys = [key for key in [*order, *(k for k in scores if k not in order)] if key not in hidden]
    rows = [["percent", *(titles.get(key, key) for key in keys)]]
    theirs = as_percent(scores)
    rows.append(["server", *(f"{theirs[key]:.2f}" for key in keys)])
    rows += [[name, *_row(keys, titles, means)] for name, means in others.items()]
    return aligned(rows)


def as_percent(scores: Mapping[str, float]) -> dict[str, float]:
    """Return scores in percent, whether they came so or as fractions."""
    factor = 100.0 if all(0 <= value <= 1 for value in scores.values()) else 1.0
    return {key: factor * value for key, value in scores.items()}


def _row(keys: Sequence[str], titles: Mapping[str, str], means: Mapping[str, float]) -> list[str]:
    by_name = {_plain(name): value for name, value in means.items()}
    found = [by_name.get(_plain(key), by_name.get(_plain(titles.get(key, key)))) for key in keys]
    return ["?" if value is None else f"{value:.2f}" for value in found]


def _plain(name: str) -> str:
    """The name of a column without what people spell differently: J&F, J_and_F, j&f."""
    return re.sub(r"[^a-z]", "", name.casefold().replace("and", ""))
