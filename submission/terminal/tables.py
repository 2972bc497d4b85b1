"""Tables and lines for a terminal: columns that matter least give way, lines break between words.

In a pipe they stay as they are, whole and plain, for whoever reads them by position.
"""

import io
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Collection, Container, Sequence
from functools import partial

from rich import box
from rich.console import Console
from rich.table import Table

Rows = Sequence[Sequence[str]]  # the headings first
Draw = Callable[[Rows], list[str]]

# Controls but tab and new line, and what turns the direction of letters around.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Return text with escapes in place of what moves cursors: names are made by others."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def in_columns(rows: Rows, right: Container[int] = ()) -> list[str]:
    """Return rows as lines with aligned columns, those in `right` to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            word.rjust(width) if place in right else word.ljust(width)
            for place, (word, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def aligned(rows: Rows, left: Collection[int] = (0,)) -> list[str]:
    """Return rows as indented lines: columns in `left` to the left, numbers to the right."""
    numbers = set(range(len(rows[0]))) - set(left)
    return [f"  {line}".rstrip() for line in in_columns(rows, numbers)]


def drawing(piped: Draw, least: Sequence[str]) -> Draw:
    """Return what draws tables on standard output: `piped`, or a terminal's way.

    `least` are headings, the one to be left out first in front.
    """
    if not sys.stdout.isatty():
        return piped
    return partial(draw, least=least, width=shutil.get_terminal_size().columns)


def draw(rows: Rows, *, least: Sequence[str], width: int) -> list[str]:
    """Return a table in lines of at most `width` columns; it says what it leaves out."""
    headings = list(rows[0])
    left_out: list[str] = []
    for name in least:
        if _width(rows, headings) <= width:
            break
        if name in headings:
            headings.remove(name)
            left_out.append(name)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    places = [rows[0].index(name) for name in headings]
    for place in places:
        numbers = all(row[place][:1].isdigit() for row in rows[1:])
        table.add_column(rows[0][place], justify="right" if numbers else "left", overflow="fold")
    for row in rows[1:]:
        table.add_row(*(row[place] for place in places))
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False)
    with console.capture() as drawn:
        console.print(table)
    lines = [line.rstrip() for line in drawn.get().splitlines()]
    return [*lines, f"(for a wider terminal: {', '.join(left_out)})"] if left_out else lines


def wrapped(text: str, width: int) -> str:
    """Return the text with lines of at most `width` columns where no word or path is longer.

    A line such as "verdict  no faults (10 videos ..." goes on under its second column.
    """
    return "\n".join(_wrapped_line(line, width) for line in text.split("\n"))


def _wrapped_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    label = re.match(r" *(?:\w+ {2,})?", line)
    indent = " " * len(label[0] if label else "")
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
        replace_whitespace=False, expand_tabs=False,
    )  # fmt: skip


def _width(rows: Rows, headings: Sequence[str]) -> int:
    """Columns of a terminal that these take, with rich's three between each."""
    places = [rows[0].index(name) for name in headings]
    return sum(max(len(row[place]) for row in rows) + 3 for place in places) - 3
