"""Our place on the leaderboard, and who stands next to it."""

from collections.abc import Sequence

from submission.terminal.tables import aligned
from submission.upload.answers import Column, Entry

NEIGHBOURS = 2  # rows above and below


def leaderboard_lines(
    entries: Sequence[Entry], columns: Sequence[Column], primary: int, account: str
) -> list[str]:
    """Return the rows around the account's, as the server ranks and rounds them.

    An entry without scores stands on top of boards that keep the best: it is named.
    """
    shown = [column for column in columns if not column.hidden]
    place = next((n for n, entry in enumerate(entries) if entry.owner == account), None)
    if place is None:
        lines = [f"{account} is not on the leaderboard; it has {len(entries)} entries"]
        around = range(min(len(entries), 2 * NEIGHBOURS + 1))
    else:
        lines = [f"place {place + 1} of {len(entries)}, ranked by {_ranks(columns, primary)}"]
        first = max(0, place - NEIGHBOURS)
        around = range(first, min(len(entries), place + NEIGHBOURS + 1))
    rows = [["", "", *(column.title for column in shown)]]
    rows += [_row(n, entries[n], shown) for n in around]
    ours = [False, *(entries[n].owner == account for n in around)]
    lines += [
        f">{line[1:]}" if is_ours else line
        for line, is_ours in zip(aligned(rows, left={1}), ours, strict=True)
    ]
    empty = [entry.owner for entry in entries if not entry.scores]
    if empty:
        lines.append(
            f"without scores and so ranked on top: {', '.join(empty)}. Only the organiser can "
            "take such an entry away"
        )
    return lines


def _ranks(columns: Sequence[Column], primary: int) -> str:
    return columns[primary].title if primary < len(columns) else "an unknown column"


def _row(number: int, entry: Entry, columns: Sequence[Column]) -> list[str]:
    values = [entry.scores.get(column.key) for column in columns]
    words = ["-" if value is None else f"{value:g}" for value in values]
    return [str(number + 1), entry.owner, *words]
