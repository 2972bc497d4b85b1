"""What a Hub says, bounded and checked before anybody reads or prints it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from submission.errors import InputError
from submission.weights.lock import LARGEST

_REVISION = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"([0-9a-f]{64})?")


@dataclass(frozen=True)
class RepoState:
    """A revision of a repository: its 40-hex name and the license on its card."""

    revision: str
    license: str


@dataclass(frozen=True)
class RemoteFile:
    """A file as the Hub lists it; small files have no SHA-256 there."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Body:
    """The content of a file from `start` on, as it comes in."""

    start: int  # 0 where the server did not honour the range
    total: int | None  # bytes of the whole file, where the server says it
    blocks: Iterator[bytes]


def repo_state(values: Any, where: str) -> RepoState:
    """Read what a revision of a repository is; raises InputError where it is not stated."""
    sha = values.get("sha") if isinstance(values, dict) else None
    if not isinstance(sha, str) or not _REVISION.fullmatch(sha):
        raise InputError(f"{where} names no revision")
    card = values.get("cardData")
    stated = card.get("license") if isinstance(card, dict) else None
    return RepoState(sha, plain(stated) if isinstance(stated, str) else "")


def plain(text: str) -> str:
    """A server's words without what would steer a terminal, and not endless."""
    return "".join(c if c.isprintable() else "?" for c in text[:100])


def remote_file(item: Any) -> RemoteFile:
    """Check an entry of a list; raises ValueError, KeyError or TypeError for an odd one."""
    lfs = item.get("lfs") or {}
    size, oid = lfs.get("size", item["size"]), lfs.get("oid", "")
    if type(size) is not int or not 0 <= size < LARGEST:
        raise ValueError(f"a size of {size!r}")
    if not isinstance(oid, str) or not _SHA256.fullmatch(oid):
        raise ValueError(f"a sha256 of {oid!r}")
    if not isinstance(item["path"], str):
        raise TypeError("a path that is no text")
    return RemoteFile(item["path"], size, oid)
