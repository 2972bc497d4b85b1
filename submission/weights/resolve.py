"""Ask the Hub for what the lock leaves unresolved, and say what that changes.

What the lock already states is never replaced silently: where the Hub says otherwise that is an
error, unless an update was asked for.
"""

import hashlib
from collections.abc import Iterator

from submission.errors import Fault, FaultyInput
from submission.weights.hub import Hub
from submission.weights.hub_answers import RemoteFile
from submission.weights.lock import LockedCheckpoint, LockedFile, is_needed, path_fault
from submission.weights.retry import TryAgain, persist

NEWEST = "main"  # the branch whose present revision is pinned where the lock states none
UNRESOLVED = "unresolved"


def resolve(checkpoint: LockedCheckpoint, hub: Hub, *, update: bool = False) -> LockedCheckpoint:
    """Return the checkpoint with everything pinned.

    A pinned revision is kept; `update` moves to the newest one. Raises FaultyInput with everything
    in which the Hub contradicts the lock, and for names that would leave the folder.
    """
    if checkpoint.is_pinned and checkpoint.license and not update:
        return checkpoint
    known = {} if update else {file.path: file for file in checkpoint.files}
    asked = NEWEST if update else checkpoint.revision or NEWEST
    state = hub.describe(checkpoint.repo, asked)
    listing = hub.list_files(checkpoint.repo, state.revision)
    _refuse_unsafe(checkpoint, listing)
    needed = sorted(
        (item for item in listing if is_needed(checkpoint.repo, item.path)), key=lambda x: x.path
    )
    contradictions = list(_contradictions(checkpoint, update, state.revision, known, needed))
    if contradictions:
        raise FaultyInput(
            f"{checkpoint.name}: the Hub's {checkpoint.repo} is not what the lock says:",
            contradictions,
            f"To take what the Hub has: mevis-submission weights lock --update {checkpoint.name}",
        )
    files = tuple(_pin(checkpoint, state.revision, item, known, hub) for item in needed)
    license_ = checkpoint.license if checkpoint.license and not update else state.license
    return LockedCheckpoint(checkpoint.name, checkpoint.repo, state.revision, license_, files)


def changes(old: LockedCheckpoint, new: LockedCheckpoint) -> list[str]:
    """Say in lines what a resolution changed."""
    lines = [
        f"{key}: {before or UNRESOLVED} -> {after or UNRESOLVED}"
        for key in ("revision", "license")
        if (before := getattr(old, key)) != (after := getattr(new, key))
    ]
    before, after = ({file.path: file for file in item.files} for item in (old, new))
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            lines.append(f"- {path}")
        elif path not in before:
            lines.append(f"+ {path}: {_facts(after[path])}")
        elif before[path] != after[path]:
            lines.append(f"  {path}: {_facts(before[path])} -> {_facts(after[path])}")
    return lines


def _facts(file: LockedFile) -> str:
    size = f"{file.bytes} bytes" if file.is_pinned or file.bytes else "size " + UNRESOLVED
    return f"{size}, sha256 {file.sha256 or UNRESOLVED}"


def _refuse_unsafe(checkpoint: LockedCheckpoint, listing: list[RemoteFile]) -> None:
    """Refuse a whole list in which a path leaves the folder, also one that nobody would fetch."""
    unsafe = [
        Fault(checkpoint.repo, f"{item.path!r} would leave the checkpoint's folder")
        for item in listing
        if "\\" in item.path or {"", ".", ".."} & set(item.path.split("/"))
    ]
    unsafe += [
        Fault(checkpoint.repo, reason)
        for item in listing
        if is_needed(checkpoint.repo, item.path) and (reason := path_fault(item.path))
    ]
    if unsafe:
        raise FaultyInput("The Hub lists files with names that are not safe to write:", unsafe)


def _contradictions(
    checkpoint: LockedCheckpoint,
    update: bool,
    revision: str,
    known: dict[str, LockedFile],
    needed: list[RemoteFile],
) -> Iterator[Fault]:
    if checkpoint.revision and not update and revision != checkpoint.revision:
        yield Fault("revision", f"asked for {checkpoint.revision}, the Hub answers {revision}")
    if not needed:
        yield Fault(checkpoint.repo, "it has no file that the loader reads")
    there = {item.path: item for item in needed}
    for path, file in known.items():
        if path not in there and (file.sha256 or file.bytes):
            yield Fault(path, "is in the lock and not on the Hub")
    for path, item in there.items():
        stated = known.get(path, LockedFile(path))
        if stated.bytes and stated.bytes != item.bytes:
            yield Fault(path, f"has {stated.bytes} bytes in the lock, {item.bytes} on the Hub")
        if stated.sha256 and item.sha256 and stated.sha256 != item.sha256:
            yield Fault(path, f"has sha256 {stated.sha256} in the lock, {item.sha256} on the Hub")


def _pin(
    checkpoint: LockedCheckpoint,
    revision: str,
    item: RemoteFile,
    known: dict[str, LockedFile],
    hub: Hub,
) -> LockedFile:
    stated = known.get(item.path, LockedFile(item.path)).sha256
    content = item.sha256 or stated or _hash_remote(checkpoint.repo, revision, item, hub)
    return LockedFile(item.path, item.bytes, content)


def _hash_remote(repo: str, revision: str, item: RemoteFile, hub: Hub) -> str:
    """Download a small file, of which the Hub lists no SHA-256, and hash it."""

    def receive() -> str:
        digest, size = hashlib.sha256(), 0
        with hub.open(repo, revision, item.path) as body:
            for block in body.blocks:
                digest.update(block)
                size += len(block)
                if size > item.bytes:  # one that does not end is not read to its end
                    break
        if size != item.bytes:
            raise TryAgain(f"{repo}/{item.path}: {size} of {item.bytes} bytes came")
        return digest.hexdigest()

    return persist(receive, hub.patience)
