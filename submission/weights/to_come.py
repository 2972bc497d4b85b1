"""What of some checkpoints is still to come: not locked, not fetched, how many bytes, what room."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from submission.files.user_cache import NO_CACHE
from submission.weights.expected import download
from submission.weights.folders import Weights
from submission.weights.hub_cache import find_snapshot
from submission.weights.lock import LockedCheckpoint
from submission.weights.sizes import free_at, in_words, size_of


@dataclass(frozen=True)
class Download:
    """Bytes that are still to come; None where nobody knows them."""

    bytes: int | None
    is_exact: bool

    def __str__(self) -> str:
        if self.bytes is None:
            return "size unknown"
        return ("" if self.is_exact else "about ") + in_words(self.bytes)


def why_to_come(checkpoint: LockedCheckpoint, weights: Weights) -> str:
    """Say why a checkpoint cannot be opened yet; "" where all its files are there.

    Their content is not looked at.
    """
    by_hand = f"; it comes by hand from {checkpoint.source}" if checkpoint.is_by_hand else ""
    if not checkpoint.is_pinned:
        unresolved = "; ".join(fault.what for fault in checkpoint.unresolved())
        return f"{weights.lock.path.name} does not pin it ({unresolved}){by_hand}"
    folder = weights.place(checkpoint)
    absent = [file for file in checkpoint.files if not os.path.lexists(folder / file.path)]
    if not absent:
        return ""
    if len(absent) == len(checkpoint.files):
        return f"it is not there yet{by_hand}"
    return f"{len(absent)} of its {len(checkpoint.files)} files are not there yet{by_hand}"


def left_to_download(checkpoint: LockedCheckpoint, weights: Weights) -> Download:
    """Return the bytes of a checkpoint that are not in its folder yet."""
    size, is_exact = download(checkpoint)
    if size is None:
        return Download(None, False)
    folder = weights.place(checkpoint)
    there = sum(
        file.bytes
        for file in checkpoint.files
        if file.is_pinned and size_of(folder / file.path) == file.bytes
    )
    return Download(max(0, size - there), is_exact)


def commands(names: Sequence[str], weights: Weights) -> str:
    """Return the command lines that bring checkpoints which are to come."""
    items = [weights.lock.take(name) for name in names]
    loose = [item.name for item in items if not item.is_pinned]
    first = f"{weights.command('lock', *loose)}, then: " if loose else ""
    return first + weights.command("fetch", *names)


def lines(names: Sequence[str], weights: Weights) -> list[str]:
    """Say in one place what of these checkpoints is to come; nothing where all are there."""
    items = [weights.lock.take(name) for name in names]
    absent = [item for item in items if why_to_come(item, weights)]
    if not absent:
        return []
    loose = [item.name for item in absent if not item.is_pinned]
    left = {item.name: left_to_download(item, weights) for item in absent}
    sizes = ", ".join(f"{name} ({size})" for name, size in left.items())
    needed = sum(size.bytes or 0 for size in left.values())
    return [
        *([f"not locked: {', '.join(loose)}"] if loose else []),
        f"not fetched: {sizes}",
        f"{in_all(list(left.values()))}; {room(weights.folder, needed)}",
        *(
            f"{item.name}: the Hugging Face cache is of no use: {found.problem}"
            for item in absent
            if (found := find_snapshot(item))
        ),
        f"to bring them: {commands([item.name for item in absent], weights)}",
    ]


def in_all(sizes: Sequence[Download]) -> str:
    """Return the sum of what is to come, in words."""
    known = [size.bytes for size in sizes if size.bytes is not None]
    exact = all(size.is_exact for size in sizes if size.bytes is not None)
    words = f"{'' if exact else 'about '}{in_words(sum(known))} to come"
    unknown = len(sizes) - len(known)
    return f"{words}, beside {unknown} of unknown size" if unknown else words


def room(folder: Path, needed: float) -> str:
    """Return in words what is free in a folder, and whether that is too little."""
    if folder.is_relative_to(NO_CACHE):
        return "no place for them, as this user has no home: set MEVIS_WEIGHTS to a folder"
    free = free_at(folder)
    return f"{in_words(free)} free in {folder}{'' if needed < free else ': too little'}"
