"""Read and write weights.lock: strictly, with all faults at once; what is written can be read."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from submission.errors import Fault, FaultyInput, InputError
from submission.files.toml_text import parse_toml, read_toml
from submission.files.whole import write_bytes
from submission.weights.lock import Lock, LockedCheckpoint, LockedFile

HEADER = """\
# The released checkpoints, file by file. Nothing is fetched or opened by name that differs from
# this. An empty text or 0 is unresolved: nobody has seen it yet. `mevis-submission weights lock
# NAME` asks the Hub and writes this file anew; comments of your own are not kept.
"""
CHECKPOINT_KEYS = ("name", "repo", "source", "revision", "license")
FILE_KEYS = ("path", "bytes", "sha256", "md5")
NOT_STATED = ("repo", "revision")  # of a checkpoint that comes by hand
IF_STATED = ("source", "md5")


class _LockFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1]
    checkpoints: tuple[LockedCheckpoint, ...] = Field(default=(), validation_alias="checkpoint")


def default_lock() -> Path:
    """The lock that comes along: in a checkout this is weights.lock at the top level."""
    return Path(__file__).with_name("weights.lock").resolve()


def read_lock(path: Path) -> Lock:
    """Read and check a lock; raise InputError, or FaultyInput with everything wrong in it."""
    try:
        return _checked(read_toml(path), path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; --lock FILE names a weights.lock") from None


def parse_lock(content: bytes, path: Path) -> Lock:
    """Check the content of a lock; `path` names it in errors, which are those of `read_lock`."""
    return _checked(parse_toml(content, path), path)


def _checked(values: Mapping[str, Any], path: Path) -> Lock:
    faults: list[Fault] = []
    checkpoints: Sequence[LockedCheckpoint] = ()
    try:
        checkpoints = _LockFile.model_validate(values).checkpoints
    except ValidationError as error:
        faults = [_in_words(item, values) for item in error.errors()]
    faults += _contradictions(values)
    if faults:
        raise FaultyInput(f"{path}: the lock has faults:", faults)
    return Lock(path, tuple(_sorted(item) for item in checkpoints))


def write_lock(lock: Lock) -> None:
    """Write the lock to its path, whole or not at all; a link to it stays a link.

    Raises FaultyInput, and writes nothing, for what `read_lock` would refuse.
    """
    content = format_lock(lock).encode()
    parse_lock(content, lock.path)
    write_bytes(lock.path.resolve(), content)


def format_lock(lock: Lock) -> str:
    """Return the lock as TOML: checkpoints in their order, files by path."""
    lines = [HEADER, "version = 1"]
    for item in lock.checkpoints:
        left_out = {*(NOT_STATED if item.is_by_hand else ()), *_unstated(item)}
        lines += ["", "[[checkpoint]]", *_pairs(item, CHECKPOINT_KEYS, left_out)]
        for file in item.files:
            lines += ["", "[[checkpoint.file]]", *_pairs(file, FILE_KEYS, _unstated(file))]
    return "\n".join(lines) + "\n"


def _sorted(item: LockedCheckpoint) -> LockedCheckpoint:
    files = tuple(sorted(item.files, key=lambda file: file.path))
    return LockedCheckpoint(item.name, item.repo, item.revision, item.license, files, item.source)


def _unstated(record: LockedCheckpoint | LockedFile) -> set[str]:
    return {key for key in IF_STATED if not getattr(record, key, "")}


def _pairs(record: Any, keys: Sequence[str], left_out: set[str]) -> Iterator[str]:
    for key in keys:
        if key not in left_out:
            value = getattr(record, key)
            yield f"{key} = {value if isinstance(value, int) else _quoted(value)}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# --- faults in words -----------------------------------------------------------------------------
_KINDS = {
    "missing": "{key} is missing",
    "string_type": "{key} is {input}; it must be a text in quotes",
    "int_type": "{key} is {input}; it must be a whole number",
    "greater_than_equal": "{key} is {input}; a size cannot be negative",
    "less_than": "{key} is {input}; no file is so large",
    "literal_error": "{key} is {input}; this kit reads 1",
    "tuple_type": "{key} must be a list of tables",
    "dataclass_type": "{key} must be a list of tables",
    "extra_forbidden": "unknown key {key}",
    "unexpected_keyword_argument": "unknown key {key}",
}


def _in_words(error: Mapping[str, Any], values: Mapping[str, Any]) -> Fault:
    """One thing that pydantic found, said of the checkpoint and file as a reader knows them."""
    steps = list(error["loc"])
    if error["type"] == "dataclass_type":
        steps.pop()  # the number of the table that is none
    key = str(steps.pop())
    shown = repr(error["input"])
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    if error["type"] == "value_error":
        reason = str(error["ctx"]["error"])
        return Fault(_where(steps, values), f"{key}: {reason} (it is {shown})")
    words = _KINDS.get(error["type"], "{key}: " + str(error["msg"]))
    return Fault(_where(steps, values), words.format(key=key, input=shown))


def _where(steps: Sequence[Any], values: Mapping[str, Any]) -> str:
    """Name a place in the file: checkpoint Sa2VA-8B, file config.json."""
    table: Any = values
    words: list[str] = []
    for step in steps:
        table = table[step]
        if isinstance(step, int):
            label = "file" if words else "checkpoint"
            name = table.get("path" if words else "name") if isinstance(table, dict) else None
            words.append(f"{label} {name if isinstance(name, str) and name else step + 1}")
    return ", ".join(words) or "the file"


def _contradictions(values: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong between values that are right alone; looks past values of a wrong kind."""
    tables = _tables(values, "checkpoint")
    for name in _doubles(tables, "name"):
        yield Fault(f"checkpoint {name}", "the name is taken; every checkpoint needs its own")
    for number, table in enumerate(tables, 1):
        where = f"checkpoint {table.get('name') or number}"
        if bool(table.get("repo")) == bool(table.get("source")):
            yield Fault(where, "it must state either repo (on the Hub) or source (a page)")
        files = _tables(table, "file")
        for path in _doubles(files, "path"):
            yield Fault(f"{where}, file {path}", "the path is listed twice")
        for file in files if table.get("repo") else []:
            if file.get("md5"):
                inside = f"{where}, file {file.get('path')}"
                yield Fault(inside, "md5 is for files by hand; those of the Hub have a sha256")


def _tables(values: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = values.get(key, [])
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _doubles(tables: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    counts = Counter(table[key] for table in tables if isinstance(table.get(key), str))
    return [name for name, count in counts.items() if count > 1]
