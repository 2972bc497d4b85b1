"""What a Codabench server answers, as records; both generations of its answers are read.

Pure: JSON values in, records out. Knows nothing of connections. Raises InputError where an answer
lacks what it must have, so that a changed server is noticed and not guessed at.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from submission.errors import InputError

FINISHED, FAILED, CANCELLED = "Finished", "Failed", "Cancelled"
END_STATES = (FINISHED, FAILED, CANCELLED)
SUBMITTING, SUBMITTED = "Submitting", "Submitted"
CURRENT = "Current"  # of a phase; the others are Previous and Next
APPROVED = "approved"  # of a participant
_HEX_FOLDER = re.compile(r"/([0-9a-f]{12})/[^/]*$")
_SHOWN = 400  # characters of a server's own words


@dataclass(frozen=True)
class Column:
    """A column of the leaderboard; `key` names it in scores."""

    key: str
    title: str
    precision: int
    hidden: bool


@dataclass(frozen=True)
class Phase:
    """A phase of a competition; a limit is None where there is none."""

    id: int
    name: str
    status: str
    start: str
    end: str
    tasks: tuple[int, ...]
    limit_today: int | None
    limit_in_all: int | None
    used_today: int
    used_in_all: int
    hides_output: bool


@dataclass(frozen=True)
class Question:
    """One question of a fact sheet."""

    key: str
    is_required: bool
    selection: tuple[str, ...]  # empty where any answer goes


@dataclass(frozen=True)
class Competition:
    """What a competition says of itself, and of the account that asks."""

    id: int
    title: str
    participant: str | None  # None: not registered
    phases: tuple[Phase, ...]
    columns: tuple[Column, ...]  # empty where the leaderboard is hidden
    primary: int  # place of the column that ranks
    rule: str  # Force_Best and the like; empty where the leaderboard is hidden
    questions: tuple[Question, ...]  # of the fact sheet
    starts_runs: bool  # False: the organiser starts each run by hand


@dataclass(frozen=True)
class Submission:
    """A submission as it stands; `scores` are values by column key, one for each task."""

    id: int
    status: str
    details: str
    filename: str
    created: str
    parent: int | None
    children: tuple[int, ...]
    scores: Mapping[str, tuple[float, ...]]
    on_leaderboard: bool

    @property
    def has_ended(self) -> bool:
        """Whether nothing will run any more; scores may still come."""
        return self.status in END_STATES


@dataclass(frozen=True)
class Entry:
    """A row of the leaderboard, best first; without scores it may stand on top all the same."""

    owner: str
    scores: Mapping[str, float]


def read_competition(value: Any) -> Competition:
    """Return a competition from `GET /api/competitions/<id>/`."""
    with reading("a competition", value):
        boards = value.get("leaderboards") or []
        board = boards[0] if boards else {}
        columns = sorted(board.get("columns", []), key=lambda column: int(column["index"]))
        return Competition(
            id=int(value["id"]),
            title=plain(value["title"]),
            participant=value.get("participant_status"),
            phases=tuple(_phase(phase) for phase in value["phases"]),
            columns=tuple(_column(column) for column in columns),
            primary=int(board.get("primary_index") or 0),
            rule=str(board.get("submission_rule") or ""),
            questions=tuple(
                _question(key, one) for key, one in (value.get("fact_sheet") or {}).items()
            ),
            starts_runs=bool(value.get("auto_run_submissions", True)),
        )


def read_submission(value: Any) -> Submission:
    """Return a submission from a poll, a row of the list, or the answer to a submit."""
    with reading("a submission", value):
        scores: dict[str, tuple[float, ...]] = {}
        for one in value.get("scores") or []:
            key = str(one["column_key"])
            scores[key] = (*scores.get(key, ()), float(one["score"]))
        return Submission(
            id=int(value["id"]),
            status=str(value["status"]),
            details=plain(value.get("status_details") or ""),
            filename=plain(value.get("filename") or ""),
            created=str(value.get("created_when") or ""),
            parent=value.get("parent"),
            children=tuple(int(child) for child in value.get("children") or ()),
            scores=scores,
            on_leaderboard=bool(value.get("on_leaderboard", False)),
        )


def read_page(value: Any) -> tuple[list[Any], str | None]:
    """Return the rows of a list and the address of its next page: a bare list has none."""
    if isinstance(value, list):
        return value, None
    with reading("a list", value):
        return list(value["results"]), value.get("next")


def read_entries(value: Any) -> list[Entry]:
    """Return the rows of `GET /api/phases/<id>/get_leaderboard/`, as they are ranked."""
    with reading("a leaderboard", value):
        return [
            Entry(
                plain(row["owner"]),
                {str(one["column_key"]): float(one["score"]) for one in row["scores"]},
            )
            for row in value["submissions"]
        ]


def read_logs(value: Any) -> dict[str, str]:
    """Return the addresses of a submission's logs by name, from `get_details`."""
    with reading("details", value):
        return {str(log["name"]): str(log["data_file"]) for log in value["logs"]}


def hex_folder(address: str) -> str:
    """Return the twelve hex digits by which a submission can be found from its upload address."""
    found = _HEX_FOLDER.search(address.partition("?")[0])
    if found is None:
        raise InputError("the server's upload address has no folder of twelve hex digits")
    return found[1]


def said(body: Any) -> str:
    """Return what a refusal says, whatever its shape: detail, error, fields, a list, or a page."""
    if isinstance(body, Mapping):
        parts = []
        for key, value in body.items():
            text = said(value)
            is_named = key in ("detail", "error", "non_field_errors")
            parts.append(text if is_named else f"{plain(key)}: {text}")
        return "; ".join(parts)
    if isinstance(body, list):
        return "; ".join(said(one) for one in body)
    text = plain(str(body))
    return "a web page, no reason" if text.lstrip().startswith("<") else text[:_SHOWN]


def plain(text: Any) -> str:
    """Return a server's text without what could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text)).strip()


def _phase(value: Mapping[str, Any]) -> Phase:
    limited = bool(value.get("has_max_submissions"))
    return Phase(
        id=int(value["id"]),
        name=plain(value["name"]),
        status=str(value["status"]),
        start=str(value.get("start") or ""),
        end=str(value.get("end") or ""),
        tasks=tuple(int(task["id"]) for task in value["tasks"]),
        limit_today=value.get("max_submissions_per_day") if limited else None,
        limit_in_all=value.get("max_submissions_per_person") if limited else None,
        used_today=int(value.get("used_submissions_per_day") or 0),
        used_in_all=int(value.get("used_submissions_per_person") or 0),
        hides_output=bool(value.get("hide_output")),
    )


def _column(value: Mapping[str, Any]) -> Column:
    return Column(
        str(value["key"]), plain(value["title"]), int(value.get("precision") or 2),
        bool(value.get("hidden")),
    )  # fmt: skip


def _question(key: str, value: Any) -> Question:
    # Whether an answer is required comes as a text: "true" or "false".
    fields = value if isinstance(value, Mapping) else {}
    required = str(fields.get("is_required", "false")).lower() == "true"
    selection = fields.get("selection") or ()
    return Question(key, required, tuple(str(one) for one in selection))


@contextmanager
def reading(what: str, value: Any) -> Iterator[None]:
    """Turn a missing or odd field into one sentence."""
    odd = f"the server's answer about {what} is not what it should be"
    if not isinstance(value, Mapping):
        raise InputError(odd)
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{odd} ({error!r}); upload in the browser, and report this") from None
