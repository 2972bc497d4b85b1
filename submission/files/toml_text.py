"""Read TOML that people write: a byte-order mark is no fault, and a Windows path gets a hint."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from submission.errors import InputError
from submission.files.mistaken import mistaken_for
from submission.files.ordinary import read_ordinary

MOST_BYTES = 16 << 20  # the lock of all checkpoints has 60 kB
HINT = (
    "a backslash in double quotes begins an escape: write the path in single quotes, or with / "
    "(C:\\data is /mnt/c/data in WSL)"
)
ESCAPED = re.compile(r'"[^"]*\\')  # in a line
LONE = re.compile(r"\s*\[(\w+)\]")  # the head of a table
BARE = re.compile(r"[^=]*=\s*[A-Za-z~./]")  # a value that is neither quoted nor a number
SPOILT = re.compile(r"[A-Za-z]:.*[\b\t\n\f\r\x1b]")  # a drive, and what "\temp" or "\new" became


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a file, as `parse_toml`; raise InputError for what cannot be read.

    A file that is not there stays a FileNotFoundError: the caller knows what was meant.
    """
    try:
        content = read_ordinary(path, MOST_BYTES)
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise InputError(f"{path}: a folder; name a .toml file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    return parse_toml(content, path)


def parse_toml(content: bytes, where: object) -> dict[str, Any]:
    """Return the tables of `content`; `where` names the file in errors.

    Raises InputError for what is no TOML, and for a path that its escapes have spoilt.
    """
    try:
        values = tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise InputError(f"{where}: not valid TOML: nested too deeply") from None
    except ValueError as error:  # no TOML, no UTF-8, or a number that Python refuses to read
        reason = mistaken_for(content) or f"not valid TOML: {error}{_hint(content, str(error))}"
        raise InputError(f"{where}: {reason}") from None
    for text in strings(values):
        if SPOILT.match(text):
            raise InputError(f"{where}: {text!r} is no path: {HINT}")
    return values


def _hint(content: bytes, error: str) -> str:
    found = re.search(r"at line (\d+)", error)
    line = content.decode("utf-8-sig", "replace").split("\n")[int(found[1]) - 1] if found else ""
    if ESCAPED.search(line):
        return f"; {HINT}"
    if (head := LONE.match(line)) and "twice" in error:
        return f"; where there are several, each begins with [[{head[1]}]]"
    if BARE.match(line):
        return "; a text stands in quotes, true and false are small"
    return ""


def strings(value: Any) -> Iterator[str]:
    """Give the texts among the values of nested tables and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from strings(one)
