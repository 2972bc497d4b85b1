"""Receive one file: resume its partial file, hash while bytes come, name it when it is right."""

import errno
import hashlib
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from submission.errors import Fault, InputError
from submission.files.whole import PARTIAL_SUFFIX, reach_disk
from submission.terminal.progress import Reporter
from submission.weights.hashes import leave_record, update
from submission.weights.hub import Hub
from submission.weights.lock import LockedCheckpoint, LockedFile
from submission.weights.retry import TryAgain, persist
from submission.weights.sizes import free_at, in_words

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Stopped(Exception):
    """Another file failed in a way that ends the whole fetch."""


class WrongContent(Exception):
    """What came is not what the lock says; it is deleted."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass
class Job:
    """What the threads that fetch one checkpoint share."""

    checkpoint: LockedCheckpoint
    folder: Path
    hub: Hub
    reporter: Reporter
    files: list[LockedFile]
    stop: threading.Event = field(default_factory=threading.Event)
    _bytes: int = 0
    _finished: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.bytes for file in self.files)

    def count(self, received: int, finished: int = 0) -> None:
        """Add to the progress; a file that is begun again takes its bytes back."""
        with self._counting:
            self._bytes += received
            self._finished += finished
            facts = f"{self._finished} of {len(self.files)} files, {in_words(self._bytes)}"
            self.reporter.advance(received, f"{facts} of {in_words(self.bytes)}")

    def heed_stop(self) -> None:
        """End this thread's work when another one has failed."""
        if self.stop.is_set():
            raise Stopped


def partial_path(folder: Path, file: LockedFile) -> Path:
    """Return where a file lies while it is received; another revision's has another name."""
    final = folder / file.path
    return final.with_name(f".{final.name}.{file.sha256[:12]}{PARTIAL_SUFFIX}")


def download(job: Job, file: LockedFile) -> None:
    """Receive a file and give it its name; raise WrongContent, or InputError for no room.

    A partial file stays after every other failure, also after a kill, and is continued.
    """
    job.heed_stop()
    final, partial = job.folder / file.path, partial_path(job.folder, file)
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(partial, "ab", buffering=0, opener=_not_through_a_link) as stream:
            _Download(job, file, stream).complete(partial)
            reach_disk(stream)
    except WrongContent:
        partial.unlink()
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError(
                f"{partial}: a link lies where the download is to be kept; delete it"
            ) from None
        if error.errno in NO_ROOM:
            what = f"{job.checkpoint.name}/{file.path}"
            raise no_room(job.folder, file.bytes - partial.stat().st_size, what) from None
        raise
    os.replace(partial, final)
    leave_record(final, file.sha256)
    job.count(0, finished=1)


def _not_through_a_link(path: str, flags: int) -> int:
    """Whoever may write into the folder could have put a link to another file there."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def no_room(folder: Path, needed: int, what: str) -> InputError:
    """Return the error of a disk that is too small."""
    free = in_words(free_at(folder))
    return InputError(
        f"{folder}: not enough room for {what}: {in_words(needed)} needed, {free} free. "
        "What was fetched is kept: make room, or name another folder with --dir (or "
        "MEVIS_WEIGHTS), and run the same command again"
    )


class _Download:
    """The partial file, the digest of what it holds, and its size."""

    def __init__(self, job: Job, file: LockedFile, stream: BinaryIO) -> None:
        self.job = job
        self.file = file
        self.stream = stream
        self.where = f"{job.checkpoint.name}/{file.path}"
        self._digest = hashlib.sha256()
        self._size = 0

    def complete(self, partial: Path) -> None:
        """Go on behind the bytes of an earlier fetch; they may be damaged, then begin again."""
        resumed = 0 < partial.stat().st_size <= self.file.bytes
        if resumed:
            self._size = update(self._digest, partial, self._count_old)
        else:
            self.stream.truncate(0)
        try:
            self._receive_and_compare()
        except WrongContent:
            if not resumed:
                raise
            self._begin_again()
            self._receive_and_compare()

    def _receive_and_compare(self) -> None:
        persist(
            self._receive, self.job.hub.patience, progress=lambda: self._size, pause=self._pause
        )
        found = self._digest.hexdigest()
        if found != self.file.sha256:
            raise self._wrong(f"its sha256 is {found} and should be {self.file.sha256}")

    def _receive(self) -> None:
        """One connection: from the present size to the end, or as far as it goes."""
        if self._size == self.file.bytes > 0:
            return
        self.job.heed_stop()
        source = self.job.checkpoint
        with self.job.hub.open(source.repo, source.revision, self.file.path, self._size) as body:
            if body.start != self._size:
                self._begin_again()  # the server does not honour ranges
            if body.total not in (None, self.file.bytes):
                raise self._wrong(f"it has {body.total} bytes and should have {self.file.bytes}")
            for block in body.blocks:
                self.job.heed_stop()
                self._write(block)
        if self._size < self.file.bytes:
            raise TryAgain(f"{self.where}: only {self._size} of {self.file.bytes} bytes came")

    def _write(self, block: bytes) -> None:
        if self._size + len(block) > self.file.bytes:
            raise self._wrong(f"it has more than the {self.file.bytes} bytes it should have")
        rest = memoryview(block)
        while rest:  # an unbuffered write may take a part only
            rest = rest[self.stream.write(rest) :]
        self._digest.update(block)
        self._size += len(block)
        self.job.count(len(block))

    def _begin_again(self) -> None:
        self.stream.truncate(0)
        self.job.count(-self._size)
        self._digest, self._size = hashlib.sha256(), 0

    def _count_old(self, read: int) -> None:
        self.job.heed_stop()
        self.job.count(read)

    def _wrong(self, found: str) -> WrongContent:
        return WrongContent(Fault(self.where, found))

    def _pause(self, seconds: float) -> None:
        self.job.reporter.detail(f"{self.where}: trying again in {seconds:.1f} s")
        self.job.stop.wait(seconds)
        self.job.heed_stop()
