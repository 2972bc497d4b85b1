"""weights.lock: the files of each checkpoint, with size and SHA-256, as frozen records.

What nobody has seen yet is unresolved: an empty text or 0. Nothing unresolved is fetched or opened
by name; `weights lock` asks the Hub for it and writes the file anew (lock_file.py reads and writes
it). A checkpoint that is on no Hub states its `source`, the page from which its files come by hand,
and, where its authors publish no SHA-256, the `md5` that they do.
"""

import re
import shlex
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, StrictInt, StrictStr
from pydantic.config import with_config

from submission.dataset.names import name_fault
from submission.did_you_mean import nearest_or_all
from submission.errors import Fault, InputError

EMPTY_SHA256 = sha256(b"").hexdigest()  # a file of 0 bytes is pinned by this, not unresolved
LARGEST = 2**53  # bytes; more than any disk holds, and JSON's numbers are exact up to here

# What the loader reads: configuration, tokenizer, chat template and weights. Code (*.py), pictures
# and pickled weights beside them are not fetched.
NEEDED_SUFFIXES = (".jinja", ".json", ".model", ".safetensors", ".txt")
# Meta's repository holds the same weights twice, and the loader reads Meta's own file; of BERT only
# the vocabulary is needed, because UNINEXT's file holds its text encoder.
NEEDED_ONLY = {
    "facebook/sam2-hiera-large": ("sam2_hiera_large.pt",),
    "google-bert/bert-base-uncased": ("vocab.txt",),
}

_REPO = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)?")
_SOURCE = re.compile(r"(https://[!-~]+)?")


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


def _plain_name(name: str) -> str:
    if reason := name_fault(name) or path_fault(name):
        raise ValueError(reason)
    return name


def _plain_path(path: str) -> str:
    if reason := path_fault(path):
        raise ValueError(reason)
    return path


def _matching(pattern: re.Pattern[str], form: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"it must be {form}")
        return text

    return AfterValidator(check)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it must be one line without control characters")
    return text


def _hexadecimal(digits: int) -> AfterValidator:
    pattern = re.compile(f"([0-9a-f]{{{digits}}})?")
    return _matching(pattern, f"{digits} hexadecimal digits")


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class LockedFile:
    """One file: its path inside the checkpoint, its size, and the hash of its content."""

    path: Annotated[StrictStr, AfterValidator(_plain_path)]
    bytes: Annotated[StrictInt, Field(ge=0, lt=LARGEST)] = 0
    sha256: Annotated[StrictStr, _hexadecimal(64)] = ""
    md5: Annotated[StrictStr, _hexadecimal(32)] = ""  # where a source publishes no SHA-256

    @property
    def is_pinned(self) -> bool:
        """Whether its content is known: size and SHA-256, or the MD5 of a file by hand."""
        if not self.sha256:
            return bool(self.md5)
        return self.bytes > 0 or self.sha256 == EMPTY_SHA256

    @property
    def algorithm(self) -> str:
        """The name of the hash by which its content is known."""
        return "sha256" if self.sha256 or not self.md5 else "md5"

    @property
    def digest(self) -> str:
        """The hash by which its content is known, empty when it is not."""
        return self.sha256 or self.md5


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class LockedCheckpoint:
    """One checkpoint: where it comes from, and its files in the order of their paths."""

    name: Annotated[StrictStr, AfterValidator(_plain_name)]
    repo: Annotated[StrictStr, _matching(_REPO, "OWNER/NAME")] = ""  # on the Hub
    revision: Annotated[StrictStr, _hexadecimal(40)] = ""  # a name such as "main" would move
    license: Annotated[StrictStr, AfterValidator(_printable)] = ""
    files: Annotated[tuple[LockedFile, ...], Field(validation_alias="file")] = ()
    # The page from which a person takes the files, where they are on no Hub.
    source: Annotated[StrictStr, _matching(_SOURCE, "an address that begins with https://")] = ""

    @property
    def is_by_hand(self) -> bool:
        """Whether a person has to bring its files."""
        return not self.repo

    @property
    def is_pinned(self) -> bool:
        """Whether everything that is opened is known."""
        stated = bool(self.revision) or self.is_by_hand
        return stated and bool(self.files) and all(file.is_pinned for file in self.files)

    @property
    def bytes(self) -> int:
        """Sum of the sizes that are known."""
        return sum(file.bytes for file in self.files)

    def unresolved(self) -> list[Fault]:
        """What is missing before it can be fetched, in a line for each kind."""
        missing = [file.path for file in self.files if not file.is_pinned]
        words = [] if self.revision or self.is_by_hand else ["its revision is unresolved"]
        if not self.files:
            words.append("no files are listed")
        if missing:
            of = f"{len(missing)} of {len(self.files)} files" if missing[1:] else missing[0]
            words.append(f"{of} without size or hash")
        return [Fault(self.name, ", ".join(words))] if words else []


@dataclass(frozen=True)
class Lock:
    """All checkpoints that weights.lock names, and the file they were read from."""

    path: Path
    checkpoints: tuple[LockedCheckpoint, ...]

    def find(self, name: str) -> LockedCheckpoint | None:
        """Return the checkpoint of that name, None when there is none."""
        return next((item for item in self.checkpoints if item.name == name), None)

    def take(self, name: str) -> LockedCheckpoint:
        """Return the checkpoint of that name, or of that repository on the Hub.

        Raises InputError naming the nearest, else those that exist.
        """
        if found := self.find(name) or self._find_repo(name):
            return found
        command = shlex.join(["mevis-submission", "weights", "list", "--lock", str(self.path)])
        raise InputError(
            f"{self.path} names no checkpoint {name!r}"
            f"{nearest_or_all(name, (item.name for item in self.checkpoints), command)}"
        )

    def _find_repo(self, repo: str) -> LockedCheckpoint | None:
        return next((item for item in self.checkpoints if repo and item.repo == repo), None)

    def replacing(self, changed: LockedCheckpoint) -> "Lock":
        """Return the lock with one checkpoint changed, in its place."""
        items = (changed if item.name == changed.name else item for item in self.checkpoints)
        return Lock(self.path, tuple(items))


def is_needed(repo: str, path: str) -> bool:
    """Tell whether the loader reads this file of a repository."""
    if repo in NEEDED_ONLY:
        return path in NEEDED_ONLY[repo]
    return "/" not in path and not path.startswith(".") and path.endswith(NEEDED_SUFFIXES)
