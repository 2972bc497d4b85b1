"""Fetch checkpoints: what stands under its final name is what the lock says.

Promises: bytes lie in a partial file until size and SHA-256 are right; a fetch that was killed goes
on where it stopped, also in another process; two processes do not fetch the same checkpoint.
"""

import fcntl
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from submission.errors import Fault, FaultyInput, FaultyResult, list_faults
from submission.files.whole import PARTIAL_SUFFIX
from submission.terminal.progress import Reporter
from submission.weights.by_hand import refuse_absent
from submission.weights.download import Job, Stopped, WrongContent, download, no_room, partial_path
from submission.weights.folders import Weights, refuse_no_folder
from submission.weights.hashes import digests, recall
from submission.weights.hub import Hub
from submission.weights.hub_cache import find_snapshot
from submission.weights.lock import LockedCheckpoint, LockedFile
from submission.weights.sizes import free_at, in_words, size_of
from submission.weights.verify import differences

CONNECTIONS = 4  # files at a time
SPARE_BYTES = 1 << 20  # for records and folders, beside the files themselves
HELD_BY = ".fetch.lock"  # in the checkpoint's folder, locked while somebody fetches into it


def fetch(
    names: Sequence[str],
    weights: Weights,
    reporter: Reporter,
    *,
    connections: int = CONNECTIONS,
    hub: Hub | None = None,
) -> None:
    """Make the named checkpoints whole in the weights folder.

    Raises FaultyInput for what the lock leaves unresolved, InputError for no room, no network and
    what the Hub refuses, and FaultyResult naming each file that came with wrong content.
    """
    named = dict.fromkeys(weights.lock.take(name) for name in names)
    for item in named:
        if item.is_by_hand:
            refuse_absent(item, weights)
    checkpoints = [item for item in named if not item.is_by_hand]
    refuse_no_folder(weights.folder)
    _refuse_unresolved(checkpoints, weights)
    checkpoints = [item for item in checkpoints if not _is_in_cache(item, weights, reporter)]
    to_do = {item: files for item in checkpoints if (files := wrong_files(item, weights, reporter))}
    needed = sum(
        _missing_bytes(weights.home(item), file) for item, files in to_do.items() for file in files
    )
    _refuse_without_room(weights.folder, needed)
    reporter.plan(sum(file.bytes for files in to_do.values() for file in files))
    for item in to_do:
        folder = weights.home(item)
        folder.mkdir(parents=True, exist_ok=True)
        with _held(folder, item.name, reporter):
            files = wrong_files(item, weights, reporter)  # another process may have been faster
            wrong = _fetch_files(Job(item, folder, hub or Hub(), reporter, files), connections)
            if wrong:
                raise _wrong_content(item, wrong, weights)
            _remove_leftovers(folder)


def _is_in_cache(checkpoint: LockedCheckpoint, weights: Weights, reporter: Reporter) -> bool:
    """Whether the Hugging Face cache has it as the lock says; what it has instead is said."""
    snapshot = None if weights.is_home(checkpoint) else find_snapshot(checkpoint)
    if snapshot is None:
        return False
    problem = snapshot.problem
    if not problem:
        reporter.say(f"comparing {checkpoint.name} in the Hugging Face cache with the lock")
        faults = differences(checkpoint, snapshot.folder, beside=False)
        problem = "; ".join(map(str, faults))
    if problem:
        reporter.warn(f"{checkpoint.name}: the Hugging Face cache is of no use: {problem}")
        return False
    reporter.say(f"{checkpoint.name}: used where it lies in the Hugging Face cache")
    return True


def wrong_files(
    checkpoint: LockedCheckpoint, weights: Weights, reporter: Reporter
) -> list[LockedFile]:
    """Return the files that are not there as the lock says; hashes what is not remembered."""
    folder = weights.home(checkpoint)
    there = [file for file in checkpoint.files if size_of(folder / file.path) == file.bytes]
    unread = sum(file.bytes for file in there if recall(folder / file.path) is None)
    if unread:
        reporter.say(f"hashing {in_words(unread)} of {checkpoint.name} that lie in {folder}")
    found = digests((folder / file.path for file in there), beside=True)
    right = {file for file in there if found[folder / file.path] == file.sha256}
    return [file for file in checkpoint.files if file not in right]


def _fetch_files(job: Job, connections: int) -> list[Fault]:
    """Fetch the job's files; return those that came with wrong content."""
    job.reporter.stage(f"fetch {job.checkpoint.name}")
    with ThreadPoolExecutor(connections) as pool:
        try:
            return _wait([pool.submit(download, job, file) for file in job.files], job)
        finally:
            job.stop.set()  # Ctrl-C: the other connections stop at their next block


def _wait(work: list["Future[None]"], job: Job) -> list[Fault]:
    """Wait for all files; a wrong one lets the others go on, any other failure stops them."""
    wrong: list[Fault] = []
    failure: BaseException | None = None
    for future in as_completed(work):
        error = future.exception()
        if isinstance(error, WrongContent):
            wrong.append(error.fault)
        elif error is not None and not isinstance(error, Stopped):
            job.stop.set()
            failure = failure or error
    if failure is not None:
        raise failure
    return sorted(wrong)


def _wrong_content(
    checkpoint: LockedCheckpoint, wrong: list[Fault], weights: Weights
) -> FaultyResult:
    return FaultyResult(
        list_faults(
            f"{checkpoint.name}: this is not what {weights.lock.path.name} says, and was deleted:",
            wrong,
            "All other files are there. Run the same command again; if it stays so, try another "
            f"HF_ENDPOINT, or compare with the Hub: {weights.command('lock', checkpoint.name)}",
        )
    )


def _refuse_unresolved(checkpoints: Sequence[LockedCheckpoint], weights: Weights) -> None:
    unresolved = [fault for item in checkpoints for fault in item.unresolved()]
    if unresolved:
        names = [item.name for item in checkpoints if not item.is_pinned]
        raise FaultyInput(
            f"{weights.lock.path.name} does not say what these must be; nothing was fetched:",
            unresolved,
            f"To ask the Hub, run: {weights.command('lock', *names)}",
        )


def _refuse_without_room(folder: Path, needed: int) -> None:
    if needed and free_at(folder) < needed + SPARE_BYTES:
        raise no_room(folder, needed, "this fetch")


@contextmanager
def _held(folder: Path, name: str, reporter: Reporter) -> Iterator[None]:
    """Hold the checkpoint's folder; waits for a process that holds it, and ends with this one."""
    with (folder / HELD_BY).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reporter.say(f"another process is fetching {name} into {folder}: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            reporter.warn(
                f"{folder}: this folder knows no locks ({error.strerror or error}); see to it that "
                "no other process fetches into it"
            )
        yield


def _remove_leftovers(folder: Path) -> None:
    """Delete partial files of other revisions, once this one is whole."""
    for path in folder.rglob(f".*{PARTIAL_SUFFIX}"):
        path.unlink()


def _missing_bytes(folder: Path, file: LockedFile) -> int:
    have = size_of(partial_path(folder, file)) or 0
    return file.bytes - have if have <= file.bytes else file.bytes
