"""Checkpoints that are on no Hub: what to take from their page, and what a copy of it holds."""

from submission.errors import Fault, FaultyInput
from submission.weights.folders import Weights
from submission.weights.hashes import digests
from submission.weights.lock import LockedCheckpoint, LockedFile
from submission.weights.verify import differences


def refuse_absent(checkpoint: LockedCheckpoint, weights: Weights) -> None:
    """Raise FaultyInput, saying what to take from where, unless its files lie there and are right.

    They may lie there without any hash being known: then they cannot be compared.
    """
    folder = weights.place(checkpoint)
    faults = checkpoint.unresolved() + differences(checkpoint, folder)
    if faults:
        raise FaultyInput(
            f"{checkpoint.name} is on no Hub; its files come by hand:",
            faults,
            f"Take {_names(checkpoint)} from {checkpoint.source}, put it into {folder}, and run: "
            f"{_next(checkpoint, weights)}",
        )


def take_from_copy(checkpoint: LockedCheckpoint, weights: Weights) -> LockedCheckpoint:
    """Return the checkpoint with sizes and SHA-256 of the copy in the weights folder.

    Raises FaultyInput for a file that is not there, or contradicts what the lock states of it.
    """
    folder = weights.place(checkpoint)
    stated = LockedCheckpoint(
        checkpoint.name, files=tuple(file for file in checkpoint.files if file.digest)
    )
    absent = [
        Fault(f"{checkpoint.name}/{file.path}", "is missing")
        for file in checkpoint.files
        if not (folder / file.path).is_file()
    ]
    if faults := absent or differences(stated, folder):
        raise FaultyInput(
            f"{checkpoint.name} is on no Hub, and the copy in {folder} cannot be pinned:",
            faults,
            f"Take {_names(checkpoint)} from {checkpoint.source}, put it into {folder}, and run "
            "the same command again",
        )
    found = digests((folder / file.path for file in checkpoint.files), beside=True)
    files = tuple(
        LockedFile(file.path, path.stat().st_size, found[path], file.md5)
        for file in checkpoint.files
        if (path := folder / file.path)
    )
    return LockedCheckpoint(
        checkpoint.name, license=checkpoint.license, files=files, source=checkpoint.source
    )


def _names(checkpoint: LockedCheckpoint) -> str:
    return ", ".join(file.path for file in checkpoint.files) or "its files"


def _next(checkpoint: LockedCheckpoint, weights: Weights) -> str:
    return weights.command("verify" if checkpoint.is_pinned else "lock", checkpoint.name)
