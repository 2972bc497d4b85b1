"""weights.lock: the files of each checkpoint, with size and SHA-256, as frozen records.

What nobody has seen yet is unresolved: an empty text or 0. Nothing unresolved is fetched or opened
by name; `weights lock` asks the Hub for it and writes the file anew, in a stable order.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from submission.dataset.names import name_fault
from submission.errors import Fault, FaultyInput, InputError
from submission.whole_files import write_bytes

VERSION = 1
EMPTY_SHA256 = sha256(b"").hexdigest()  # a file of 0 bytes is pinned by this, not unresolved
HEADER = """\
# The released checkpoints, file by file. Nothing is fetched or opened by name that differs from
# this. An empty text or 0 is unresolved: nobody has seen it yet. `mevis-submission weights lock
# NAME` asks the Hub and writes this file anew; comments of your own are not kept.
"""

# What the loader reads: configuration, tokenizer and weights. Code (*.py), pictures and pickled
# weights beside them are not fetched.
NEEDED_SUFFIXES = (".json", ".model", ".safetensors", ".txt")
# This repository holds the same weights twice; the loader reads Meta's own file.
NEEDED_ONLY = {"facebook/sam2-hiera-large": ("sam2_hiera_large.pt",)}

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_REVISION = re.compile(r"([0-9a-f]{40})?")
_SHA256 = re.compile(r"([0-9a-f]{64})?")
_KEYS = {"name": str, "repo": str, "revision": str, "license": str}
_FILE_KEYS = {"path": str, "bytes": int, "sha256": str}


@dataclass(frozen=True)
class LockedFile:
    """One file: its path inside the checkpoint, its size, and the SHA-256 of its content."""

    path: str
    bytes: int = 0
    sha256: str = ""

    @property
    def is_pinned(self) -> bool:
        """Whether size and hash are known."""
        return bool(self.sha256) and (self.bytes > 0 or self.sha256 == EMPTY_SHA256)


@dataclass(frozen=True)
class LockedCheckpoint:
    """One checkpoint: where it comes from, and its files in the order of their paths."""

    name: str
    repo: str
    revision: str = ""  # 40 hexadecimal digits: a name such as "main" would move
    license: str = ""
    files: tuple[LockedFile, ...] = ()

    @property
    def is_pinned(self) -> bool:
        """Whether everything that is fetched is known."""
        return bool(self.revision and self.files) and all(file.is_pinned for file in self.files)

    @property
    def bytes(self) -> int:
        """Sum of the sizes that are known."""
        return sum(file.bytes for file in self.files)

    def unresolved(self) -> list[Fault]:
        """What is missing before it can be fetched."""
        faults = [] if self.revision else [Fault(self.name, "its revision is unresolved")]
        if not self.files:
            faults.append(Fault(self.name, "no files are listed"))
        missing = [file for file in self.files if not file.is_pinned]
        return faults + [
            Fault(f"{self.name}/{file.path}", "its size or sha256 is unresolved")
            for file in missing
        ]


@dataclass(frozen=True)
class Lock:
    """All checkpoints that weights.lock names, and the file they were read from."""

    path: Path
    checkpoints: tuple[LockedCheckpoint, ...]

    def find(self, name: str) -> LockedCheckpoint | None:
        """Return the checkpoint of that name, None when there is none."""
        return next((item for item in self.checkpoints if item.name == name), None)

    def take(self, name: str) -> LockedCheckpoint:
        """Return the checkpoint of that name; raise InputError naming those that exist."""
        if found := self.find(name):
            return found
        known = ", ".join(item.name for item in self.checkpoints) or "none"
        raise InputError(f"{self.path} names no checkpoint {name!r}; it names: {known}")

    def replacing(self, changed: LockedCheckpoint) -> "Lock":
        """Return the lock with one checkpoint changed, in its place."""
        items = (changed if item.name == changed.name else item for item in self.checkpoints)
        return Lock(self.path, tuple(items))


def default_lock() -> Path:
    """The lock that comes along: in a checkout this is weights.lock at the top level."""
    return Path(__file__).with_name("weights.lock").resolve()


def is_needed(repo: str, path: str) -> bool:
    """Tell whether the loader reads this file of a repository."""
    if repo in NEEDED_ONLY:
        return path in NEEDED_ONLY[repo]
    return "/" not in path and not path.startswith(".") and path.endswith(NEEDED_SUFFIXES)


def path_fault(path: str) -> str | None:
    """Say why a path must not be used inside a checkpoint folder, or None when it can."""
    if path.startswith("/"):
        return f"the path {path!r} is absolute, so it would leave its folder"
    for part in path.split("/"):
        if reason := name_fault(part):
            return reason
        if part.startswith("."):
            return f"the name {part!r} begins with a dot; such files are not part of a checkpoint"
    return None


def read_lock(path: Path) -> Lock:
    """Read and check a lock; raise InputError, or FaultyInput with everything wrong in it."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; --lock FILE names a weights.lock") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
    faults = list(_faults(values))
    if faults:
        raise FaultyInput(f"{path}: the lock has faults:", faults)
    return Lock(path, tuple(_checkpoint(table) for table in values.get("checkpoint", [])))


def _checkpoint(table: Mapping[str, Any]) -> LockedCheckpoint:
    files = sorted((LockedFile(**file) for file in table.get("file", [])), key=lambda f: f.path)
    return LockedCheckpoint(**{key: table[key] for key in _KEYS}, files=tuple(files))


def _faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    yield from _key_faults("the file", values, {"version": int}, {"checkpoint"})
    if isinstance(values.get("version"), int) and values["version"] != VERSION:
        yield Fault("the file", f"version is {values['version']!r}; this kit reads {VERSION}")
    names: set[str] = set()
    for number, table in enumerate(_tables(values, "checkpoint"), 1):
        where = f"checkpoint {table.get('name') or number}"
        faults = list(_key_faults(where, table, _KEYS, {"file"}))
        yield from faults or _value_faults(where, table)
        if table.get("name") in names:
            yield Fault(where, "the name is taken; every checkpoint needs its own")
        names.add(str(table.get("name")))
        paths: set[str] = set()
        for index, file in enumerate(_tables(table, "file"), 1):
            inside = f"{where}, file {file.get('path') or index}"
            faults = list(_key_faults(inside, file, _FILE_KEYS, set()))
            yield from faults or _file_faults(inside, file)
            if file.get("path") in paths:
                yield Fault(inside, "the path is listed twice")
            paths.add(str(file.get("path")))


def _tables(values: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = values.get(key, [])
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _key_faults(
    where: str, table: Mapping[str, Any], wanted: Mapping[str, type], also: set[str]
) -> Iterator[Fault]:
    for key, kind in wanted.items():
        if key not in table:
            yield Fault(where, f"{key} is missing")
        elif type(table[key]) is not kind:
            word = "a whole number" if kind is int else "a text in quotes"
            yield Fault(where, f"{key} is {table[key]!r}; it must be {word}")
    yield from _unknown(where, table, {*wanted, *also})
    for key in also & table.keys():
        if not isinstance(table[key], list) or len(_tables(table, key)) != len(table[key]):
            yield Fault(where, f"{key} must be a list of tables")


def _unknown(where: str, table: Mapping[str, Any], known: set[str]) -> Iterator[Fault]:
    for key in sorted(table.keys() - known):
        yield Fault(where, f"unknown key {key}; known here: {', '.join(sorted(known))}")


def _value_faults(where: str, table: Mapping[str, Any]) -> Iterator[Fault]:
    if reason := name_fault(table["name"]) or path_fault(table["name"]):
        yield Fault(where, f"name: {reason}")
    if not _REPO.fullmatch(table["repo"]):
        yield Fault(where, f"repo is {table['repo']!r}; it must be OWNER/NAME")
    if not _REVISION.fullmatch(table["revision"]):
        yield Fault(where, f"revision is {table['revision']!r}; it must be 40 hexadecimal digits")


def _file_faults(where: str, file: Mapping[str, Any]) -> Iterator[Fault]:
    if reason := path_fault(file["path"]):
        yield Fault(where, f"path: {reason}")
    if file["bytes"] < 0:
        yield Fault(where, f"bytes is {file['bytes']}; a size cannot be negative")
    if not _SHA256.fullmatch(file["sha256"]):
        yield Fault(where, f"sha256 is {file['sha256']!r}; it must be 64 hexadecimal digits")


def write_lock(lock: Lock) -> None:
    """Write the lock to its path, whole or not at all; a link to it stays a link."""
    write_bytes(lock.path.resolve(), format_lock(lock).encode())


def format_lock(lock: Lock) -> str:
    """Return the lock as TOML: checkpoints in their order, files by path."""
    lines = [HEADER, f"version = {VERSION}"]
    for item in lock.checkpoints:
        lines += ["", "[[checkpoint]]"]
        lines += [f"{key} = {_quoted(getattr(item, key))}" for key in _KEYS]
        for file in item.files:
            lines += ["", "[[checkpoint.file]]", f"path = {_quoted(file.path)}"]
            lines += [f"bytes = {file.bytes}", f"sha256 = {_quoted(file.sha256)}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
