"""Read a large JSON object member by member, so that memory holds one of them and not the file.

Knows where each member lies in the file, so that one can be read again by itself.
"""

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from submission.errors import InputError
from submission.files.ordinary import open_ordinary
from submission.files.strict_json import read_object

CHUNK = 1 << 20  # bytes read at once; a member may be larger
_END = re.compile(r"[ \t\n\r,:}]")  # of a member's key or value
_SPACE = re.compile(r"[ \t\n\r]*")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Span:
    """The bytes of a value in a file."""

    start: int
    stop: int

    def read(self, path: Path) -> Any:
        """Return the value; raise InputError where the file has changed since."""
        try:
            with open_ordinary(path) as file:
                file.seek(self.start)
                return json.loads(file.read(self.stop - self.start))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: it has changed while it was in use; run the same command again"
            ) from error


def read_members(path: Path) -> Iterator[tuple[str, Any, Span]]:
    """Give the members of the object in `path`, in the order of the file: key, value and place.

    Raises InputError as `strict_json.read_object` where the file is not one JSON object.
    """
    try:
        with open_ordinary(path) as file:
            yield from _members(_Text(file))
    except (OSError, ValueError, RecursionError):
        read_object(path)  # says what is wrong, and where, of the file as a whole
        raise


class _Text:
    """A window on the text of a file: what was read and not yet used."""

    def __init__(self, file: BinaryIO) -> None:
        self.at = 0  # in `text`
        self.text = ""
        self._file = file
        self._decoder = getincrementaldecoder("utf-8")()
        self._is_whole = False
        self._before = 0  # bytes of the file before `text`
        if file.read(len(_BYTE_ORDER_MARK)) == _BYTE_ORDER_MARK:
            self._before = len(_BYTE_ORDER_MARK)
        file.seek(self._before)

    def more(self) -> bool:
        """Read as much again as is there, and no less than a chunk; False at the end."""
        if self._is_whole:
            return False
        used, self.text = self.text[: self.at], self.text[self.at :]
        self._before, self.at = self._before + _num_bytes(used), 0
        content = self._file.read(max(CHUNK, len(self.text)))
        self._is_whole = not content
        self.text += self._decoder.decode(content, final=self._is_whole)
        return True

    def peek(self) -> str:
        """Go to the next character that is no space and return it, nothing at the end."""
        while True:
            match = _SPACE.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text) or not self.more():
                return self.text[self.at : self.at + 1]

    def take(self, expected: str) -> None:
        """Go behind the next character, which must be `expected`."""
        if self.peek() != expected:
            raise ValueError(f"no {expected}")
        self.at += 1

    def value(self) -> tuple[Any, Span]:
        """Read the next key or value, and say where it lies."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
                # Half a number is a number, too: what follows must be in sight.
                if self._is_whole or _END.match(self.text, end):
                    break
            except ValueError:
                if self._is_whole:
                    raise
            self.more()
        start = self._before + _num_bytes(self.text[: self.at])
        span = Span(start, start + _num_bytes(self.text[self.at : end]))
        self.at = end
        return value, span


_DECODER = json.JSONDecoder()


def _members(text: _Text) -> Iterator[tuple[str, Any, Span]]:
    text.take("{")
    if text.peek() == "}":
        text.take("}")
    else:
        while True:
            key, _ = text.value()
            if not isinstance(key, str):
                raise ValueError("a key is no text")
            text.take(":")
            value, span = text.value()
            yield key, value, span
            if text.peek() == "}":
                break
            text.take(",")
        text.take("}")
    if text.peek():
        raise ValueError("more than one value")


def _num_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
