"""Compare what lies on disk with the lock, offline; nothing that differs is opened."""

from collections.abc import Callable, Iterable
from pathlib import Path

from submission.errors import Fault, FaultyInput, InputError
from submission.weights.folders import Weights
from submission.weights.hashes import digests, recall
from submission.weights.lock import EMPTY_SHA256, LockedCheckpoint, LockedFile, is_needed
from submission.weights.sizes import size_of

OnBytes = Callable[[int], None]


def differences(
    checkpoint: LockedCheckpoint,
    folder: Path,
    *,
    again: bool = False,
    beside: bool = True,
    read: bool = True,
    on_bytes: OnBytes | None = None,
) -> list[Fault]:
    """Return every way in which a checkpoint's folder differs from the lock.

    Files are missing, of another size or of another content, as far as the lock states these, or
    the loader would read them and the lock does not list them. Hashes that are remembered count,
    unless `again`; without `beside` nothing is remembered in the folder itself. Without `read`
    nothing is read: content counts where its hash is remembered.
    """
    if not folder.is_dir():
        return [Fault(checkpoint.name, f"is not there: {folder}")]
    faults = [_size_fault(checkpoint, folder, file) for file in checkpoint.files]
    whole = [
        file
        for file, fault in zip(checkpoint.files, faults, strict=True)
        if fault is None
        and file.digest
        and (read or recall(folder / file.path, file.algorithm) is not None)
    ]
    found = _hash(folder, whole, again=again, beside=beside, on_bytes=on_bytes)
    changed = [
        Fault(
            f"{checkpoint.name}/{file.path}",
            f"its {file.algorithm} is {found[file]} and should be {file.digest}",
        )
        for file in whole
        if found[file] != file.digest
    ]
    return [*filter(None, faults), *changed, *_strangers(checkpoint, folder)]


def _hash(
    folder: Path,
    files: Iterable[LockedFile],
    *,
    again: bool,
    beside: bool,
    on_bytes: OnBytes | None,
) -> dict[LockedFile, str]:
    """Hash files of a checkpoint's folder, each by the algorithm that the lock knows it by."""
    wanted = list(files)
    found: dict[LockedFile, str] = {}
    for algorithm in dict.fromkeys(file.algorithm for file in wanted):
        paths = {file: folder / file.path for file in wanted if file.algorithm == algorithm}
        hashes = digests(
            paths.values(), algorithm=algorithm, again=again, beside=beside, on_bytes=on_bytes
        )
        found |= {file: hashes[path] for file, path in paths.items()}
    return found


def open_locked(weights: Weights, checkpoint: LockedCheckpoint, *, again: bool) -> Path:
    """Return a checkpoint's folder when all its files are what the lock says.

    Raises InputError when it is not there, FaultyInput when it is not pinned, and FaultyInput with
    everything that differs.
    """
    name, lock = checkpoint.name, weights.lock.path.name
    own = f"A folder of your own is used as it is when given as a path (./{name})."
    if not checkpoint.is_pinned:
        raise FaultyInput(
            f"checkpoint {name} cannot be verified, because {lock} does not pin it:",
            checkpoint.unresolved(),
            f"Run: {weights.command('lock', name)}, then: {weights.command('fetch', name)}. {own}",
        )
    folder = weights.place(checkpoint)
    if not folder.is_dir():
        raise InputError(
            f"checkpoint {name} is not there yet: {folder}. Run: {weights.command('fetch', name)}. "
            f"{own}"
        )
    cached = weights.is_cached(checkpoint)
    faults = differences(checkpoint, folder, again=again, beside=not cached)
    if faults:
        goes = f"into {weights.home(checkpoint)}" if cached else "it replaces what differs"
        raise FaultyInput(
            f"checkpoint {name} in {folder} is not what {lock} says, so it is not opened:",
            faults,
            f"Run: {weights.command('fetch', name)} ({goes}). {own}",
        )
    return folder.resolve()


def bytes_to_read(checkpoint: LockedCheckpoint, folder: Path) -> int:
    """Return how many bytes of the checkpoint are there to be hashed."""
    return sum(size_of(folder / file.path) or 0 for file in checkpoint.files)


def locked_as(
    files: Iterable[str], checkpoints: Iterable[LockedCheckpoint]
) -> list[LockedCheckpoint]:
    """Return the pinned checkpoints whose hashes are all among `files` (SHA-256)."""
    known = set(files)
    return [
        item
        for item in checkpoints
        if item.is_pinned and {file.sha256 for file in item.files} <= known
    ]


def _size_fault(checkpoint: LockedCheckpoint, folder: Path, file: LockedFile) -> Fault | None:
    where = f"{checkpoint.name}/{file.path}"
    size = size_of(folder / file.path)
    if size is None:
        return Fault(where, "is missing")
    if size != file.bytes and (file.bytes or file.sha256 == EMPTY_SHA256):
        return Fault(where, f"has {size} bytes and should have {file.bytes}")
    return None


def _strangers(checkpoint: LockedCheckpoint, folder: Path) -> list[Fault]:
    listed = {file.path for file in checkpoint.files}
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [
        Fault(f"{checkpoint.name}/{name}", "is not in the lock; move it elsewhere")
        for name in there
        if name not in listed and is_needed(checkpoint.repo, name)
    ]
