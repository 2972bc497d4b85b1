"""The ways in which a file is damaged; each is a function of its bytes and a random generator."""

import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Bytes = Callable[[bytes, random.Random], bytes]

HUGE = (b"1" + b"0" * 30, b"9" * 5_000, b"-1", b"1e308", b"NaN")
DEEP = b"[" * 20_000
ODD = ("\x1b[2J\x1b]0;odd\x07", "\x00", "a\r\nverified ok", "\u202e", "\udcff", "../../x")
OTHERS: tuple[Any, ...] = (None, True, -1, 1.5, "text", [], {}, [[]], {"a": {}})
_NUMBER = re.compile(rb"(?<![\w.\"])-?\d+(?![\w.\"])")


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(1, max(2, len(content)))]


def _flip(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]


def _huge(content: bytes, rng: random.Random) -> bytes:
    """A number of the text, or four bytes of what is none, become as large as they can be."""
    if is_text(content) and (found := list(_NUMBER.finditer(content))):
        number = rng.choice(found)
        return content[: number.start()] + rng.choice(HUGE) + content[number.end() :]
    place = rng.randrange(min(len(content), 200))
    return content[:place] + b"\xff\xff\xff\x7f" + content[place + 4 :]


def _deep(content: bytes, rng: random.Random) -> bytes:
    """A value of a JSON or TOML file becomes a list of lists of lists."""
    after = rb"[:,\[] ?" if content.startswith(b"{") else rb" = "
    places = [found.end() for found in re.finditer(after, content[:20_000])]
    place = rng.choice(places) if places else 0
    return content[:place] + DEEP + content[place:]


def _other_type(content: bytes, rng: random.Random) -> bytes:
    return _changed(content, rng, lambda value: rng.choice(OTHERS))


def _odd_text(content: bytes, rng: random.Random) -> bytes:
    """A text of the file gets characters that a terminal or a folder must not get."""
    return _changed(content, rng, lambda value: f"{value}{rng.choice(ODD)}"[-300:])


def _without(content: bytes, rng: random.Random) -> bytes:
    return _changed(content, rng, None)


def _changed(content: bytes, rng: random.Random, change: Callable[[Any], Any] | None) -> bytes:
    """Change one value of a JSON file, or take it out; of other text a line, of others a byte."""
    try:
        value = json.loads(content)
    except ValueError:
        lines = content.split(b"\n")
        place = rng.randrange(len(lines))
        key, equals, _ = lines[place].partition(b"=")
        new = json.dumps(change("value")).encode() if change and equals else b""
        lines[place : place + 1] = [key + equals + b" " + new] if new else []
        return b"\n".join(lines)
    spots = list(_spots(value))
    if not spots:
        return b"null"
    holder, key = rng.choice(spots)
    if change is None:
        del holder[key]
    else:
        holder[key] = change(holder[key])
    return json.dumps(value).encode()


def _spots(value: Any, most: int = 400) -> Iterator[tuple[Any, Any]]:
    """Where values stand: of long lists and tables only the first ones, so that all depths come."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs)[:most]:
        yield value, key
        if isinstance(inner, dict | list) and inner:
            yield from _spots(inner, max(3, most // 20))


CONTENTS: dict[str, Bytes] = {
    "cut": _cut,
    "empty": lambda content, rng: b"",
    "zeros": lambda content, rng: bytes(len(content)),
    "flipped bit": _flip,
    "huge number": _huge,
    "deep nesting": _deep,
    "other type": _other_type,
    "odd characters": _odd_text,
    "value gone": _without,
}
PLACES: dict[str, Callable[[Path], None]] = {
    "a folder there": lambda path: path.mkdir(),
    "a pipe there": lambda path: os.mkfifo(path),
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "dangling link": lambda path: path.symlink_to(path.parent / "nowhere"),
}
KINDS = (*CONTENTS, *PLACES)


def damage(path: Path, kind: str, rng: random.Random) -> None:
    """Damage one file; its time of change stays in half of the cases, as on a bad disk."""
    before = path.stat()
    if kind in CONTENTS:
        path.write_bytes(CONTENTS[kind](path.read_bytes() or b" ", rng))
        if rng.random() < 0.5:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        path.unlink()
        PLACES[kind](path)


def is_text(content: bytes) -> bool:
    """Tell whether numbers in a file are written as digits."""
    return b"\0" not in content[:1000]


def restore(pristine: Path, place: Path) -> None:
    """Put a folder back as it was, times included."""
    shutil.rmtree(place)
    shutil.copytree(pristine, place, copy_function=shutil.copy2)
