"""One holder of a run folder at a time, and what killed processes have left in it.

Shards of a prediction hold it together; whoever votes, packs or reports holds it alone. The lock
ends with its process, however that ends.
"""

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from submission.errors import InputError
from submission.files.whole import PARTIAL_SUFFIX
from submission.terminal.progress import Reporter

LOCK = ".lock"  # in the run folder; says who holds it
_WHO_BYTES = 300  # longer than any process id and name of a host


@contextmanager
def hold(run: Path, reporter: Reporter, *, together: bool = False) -> Iterator[None]:
    """Hold a run folder around a block; waits, with a line, for a process that is in the way.

    `together` lets others that say so in at the same time. Whoever is alone in the folder removes
    the partial files of processes that are no more. Where a folder cannot be written, nothing is
    held: nobody can change it from here. On a share that knows no locks the work goes on, with a
    warning.
    """
    try:
        refuse_no_folder(run)
        run.mkdir(parents=True, exist_ok=True)
        file = (run / LOCK).open("a+b", buffering=0)
    except OSError as error:
        if not run.is_dir():
            raise InputError(
                f"{run}: the run folder cannot be made there ({error.strerror}); name another "
                "place with --run"
            ) from None
        if os.access(run, os.W_OK):
            raise
        reporter.detail(f"{run}: not held ({error.strerror})")
        yield
        return
    with file:
        try:
            _lock(file, run, reporter, together)
        except OSError as error:
            reporter.warn(
                f"{run}: this folder knows no locks ({error.strerror or error}); see to it that no "
                "other process works in it"
            )
        with suppress(OSError):  # a full disk; the lock holds all the same
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}".encode())
        try:
            yield
        finally:
            with suppress(OSError):
                file.truncate(0)


def refuse_no_run(run: Path) -> None:
    """Raise InputError where no folder is, for what goes on with a run and begins none."""
    if not run.exists():
        raise InputError(
            f"{run}: no such run; name the folder of one with --run, or begin it with submit or "
            "predict"
        )


def refuse_no_folder(run: Path) -> None:
    """Raise InputError where something else than a folder lies in the place of a run."""
    if run.is_symlink() and not run.exists():
        raise InputError(f"{run}: a link to {run.readlink()}, which is not there")
    if run.exists() and not run.is_dir():
        raise InputError(f"{run}: not a folder; name another place with --run")


def _lock(file: BinaryIO, run: Path, reporter: Reporter, together: bool) -> None:
    wanted = fcntl.LOCK_SH if together else fcntl.LOCK_EX
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            fcntl.flock(file, wanted | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            file.seek(0)
            who = file.read(_WHO_BYTES).decode(errors="replace")
            reporter.say(f"another process {f'({who}) ' if who else ''}works in {run}: waiting")
        fcntl.flock(file, wanted)
        if together:
            return
    _remove_partial_files(run)
    if together:
        fcntl.flock(file, wanted)


def _remove_partial_files(run: Path) -> None:
    for folder, _, names in os.walk(run):
        for name in names:
            if name.startswith(".") and name.endswith(PARTIAL_SUFFIX):
                (Path(folder) / name).unlink(missing_ok=True)
