"""Checkpoints in the Hugging Face cache already: found by repository and locked revision.

Its layout is that of huggingface_hub: models--OWNER--NAME/snapshots/REVISION/FILE, each a link into
blobs/. Here it is only looked at and read; nothing is ever written into it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from submission.files.user_cache import NO_CACHE
from submission.files.user_paths import expand
from submission.weights.lock import LockedCheckpoint
from submission.weights.sizes import in_words

SHOWN = 12  # digits of a revision in a message


@dataclass(frozen=True)
class Snapshot:
    """What the cache has of a checkpoint."""

    folder: Path
    problem: str = ""  # why it cannot be used, in words; its content is not looked at here


def hub_cache() -> Path:
    """The folder of the cache, by the variables that huggingface_hub goes by."""
    if named := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return expand(named)
    if home := os.environ.get("HF_HOME"):
        return expand(home) / "hub"
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        cache = NO_CACHE
    return cache / "huggingface" / "hub"


def find_snapshot(checkpoint: LockedCheckpoint) -> Snapshot | None:
    """Return what the cache has of a checkpoint; None for nothing, or where none is locked."""
    if not checkpoint.repo or not checkpoint.is_pinned:
        return None
    snapshots = hub_cache() / f"models--{checkpoint.repo.replace('/', '--')}" / "snapshots"
    folder = snapshots / checkpoint.revision
    if folder.is_dir():
        return Snapshot(folder, _what_is_wrong(checkpoint, folder))
    others = sorted(path.name for path in snapshots.iterdir()) if snapshots.is_dir() else []
    if not others:
        return None
    shown = ", ".join(name[:SHOWN] for name in others)
    return Snapshot(
        folder, f"it has revision {shown}, not the locked {checkpoint.revision[:SHOWN]}"
    )


def _what_is_wrong(checkpoint: LockedCheckpoint, folder: Path) -> str:
    absent = 0
    for file in checkpoint.files:
        path = folder / file.path
        if not path.is_file():  # also a link to a blob that is not there
            absent += 1
        elif file.bytes and path.stat().st_size != file.bytes:
            return (
                f"its {file.path} has {in_words(path.stat().st_size)} and should have "
                f"{in_words(file.bytes)}"
            )
    return f"{absent} of {len(checkpoint.files)} files are missing there" if absent else ""
