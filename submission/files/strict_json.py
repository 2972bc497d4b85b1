"""Read JSON strictly: a fault is told with line and column, and repeated keys are kept in sight."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from submission.errors import InputError
from submission.files.mistaken import mistaken_for
from submission.files.ordinary import read_ordinary


class JsonObject(dict[str, Any]):
    """A JSON object that remembers the keys which were written more than once."""

    repeated: tuple[str, ...] = ()


def read_json(path: Path, *, keep_repeated: bool = False, most: int | None = None) -> Any:
    """Return the value in `path`; raise InputError with line and column when it is not JSON.

    With `keep_repeated` every object is a JsonObject (slower: not for ground truth of 400 MB).
    More than `most` bytes are refused before they are read.
    """
    try:
        return parse_json(read_ordinary(path, most), str(path), keep_repeated=keep_repeated)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_object(path: Path, *, most: int | None = None) -> Mapping[str, Any]:
    """Return the JSON object in `path`; raise InputError as `read_json`, and for another value."""
    value = read_json(path, most=most)
    if not isinstance(value, dict):
        raise InputError(f"{path}: it holds {kind_of(value)}; it must be a JSON object")
    return value


def kind_of(value: Any) -> str:
    """Name the kind of a JSON value as a person would."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return "null" if value is None else kinds.get(type(value), "a number")


def parse_json(content: bytes, where: str, *, keep_repeated: bool = False) -> Any:
    """Return the value of `content`, as `read_json`; `where` names the file in the error."""
    try:
        text = content.decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_keep_repeated if keep_repeated else None)
    except json.JSONDecodeError as error:
        reason = f"broken JSON at line {error.lineno}, column {error.colno}: {_in_words(error)}"
        raise InputError(f"{where}: {mistaken_for(content) or reason}") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        is_half = error.reason == "unexpected end of data"
        reason = f"not UTF-8 text at line {line}: {_CUT if is_half else error.reason}"
        raise InputError(f"{where}: {mistaken_for(content) or reason}") from error
    except RecursionError as error:
        raise InputError(f"{where}: the JSON is nested too deeply to be a data file") from error
    except ValueError as error:  # Python reads numbers of at most 4,300 digits
        raise InputError(f"{where}: the JSON has a number of thousands of digits") from error


def _in_words(error: json.JSONDecodeError) -> str:
    """Say what is wrong there, and what to do: a file that broke off is copied, not mended."""
    rest = error.doc[error.pos :].strip(" \t\r\n\0")  # some disks leave zeros for what was lost
    is_half = error.pos > 0 and _HALF.fullmatch(rest)
    if is_half or error.msg.startswith("Unterminated"):
        return _CUT
    known = (words for begins, words in _FAULTS.items() if error.msg.startswith(begins))
    return f"{next(known, error.msg)}; mend it there, or copy it again"


# The first half of a word, a number or an escape, as a file ends with that was cut off in it.
_HALF = re.compile(r"[a-z.\\0-9A-F-]{0,6}")
_CUT = (
    "from here on its end is missing, so it was probably cut off; copy or make it again, then run "
    "the same command again"
)
# What Python's reader says at a place, as a person would say it. Versions word the rest apart.
_FAULTS = {
    "Expecting value": "a value belongs here",
    "Expecting ',' delimiter": "a comma belongs here, or the end of a list or object",
    "Expecting ':' delimiter": "a colon belongs here, between a key and its value",
    "Expecting property name": "a key in double quotes belongs here (is there a comma too many?)",
    "Illegal trailing comma": "there is a comma too many before the end of a list or object",
    "Extra data": "more follows here, behind the end of the JSON (two files in one?)",
    "Invalid control character": "a line break or another control character inside a text",
    "Invalid \\": "a backslash that begins no escape; in a text a backslash is written twice",
}


def _keep_repeated(pairs: list[tuple[str, Any]]) -> JsonObject:
    value = JsonObject(pairs)
    if len(value) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        value.repeated = tuple(key for key, count in counts.items() if count > 1)
    return value
