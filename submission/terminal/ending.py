"""How a command ends: every error becomes one sentence and an exit status, no signal a traceback.

Knows neither verbs nor stages; what was going on it learns from the reporter.
"""

import errno
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from submission.errors import InputError, SubmissionError, lacks_gpu_memory
from submission.files.whole import write_bytes
from submission.terminal.progress import Reporter

DONE = 0
CRASHED = 3  # a fault of the kit, or of the machine
INTERRUPTED = 130  # what shells expect after Ctrl-C
STOPPED = "Stopped. What is finished is kept: the same command goes on from there."
TRACEBACK = "traceback.txt"

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_THREADS = "can't start new thread"
# As torch says it, which is not loaded here.
_NO_CPU_MEMORY = "DefaultCPUAllocator: can't allocate memory"
_SHOW_CURSOR = b"\x1b[?25h"  # a live bar hides it


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP stop the work as Ctrl-C does, and a third signal end it at once.

    The first signal raises KeyboardInterrupt, and so does the second, for whoever waits while the
    work is put away; neither is ever more than a sentence, wherever it comes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen > 2:
            _end_now()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in _STOPPING}
    try:
        yield
    finally:
        if not seen:  # else a signal while Python ends, and waits for threads, would be a traceback
            for number, handler in before.items():
                signal.signal(number, handler)


def _end_now() -> None:
    for process in sys.modules["multiprocessing"].active_children() if _has_pool() else ():
        process.kill()
    with suppress(OSError):
        os.write(2, (_SHOW_CURSOR if os.isatty(2) else b"") + f"{STOPPED}\n".encode())
    os._exit(INTERRUPTED)


def _has_pool() -> bool:
    return hasattr(sys.modules.get("multiprocessing"), "active_children")


def end_with(error: BaseException, reporter: Reporter, *, debug: bool = False) -> int:
    """Say in one sentence why the work ended, and return the exit status.

    An error that nobody foresaw is kept whole in a file, which the sentence names; `debug` shows
    it as well.
    """
    if debug and not isinstance(error, KeyboardInterrupt):
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        reporter.fail(STOPPED)
        return INTERRUPTED
    if isinstance(error, BrokenPipeError) and _has_no_reader():
        # Whoever read standard output, such as `head`, has enough. Python flushes once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    if isinstance(error, SubmissionError):
        reporter.fail(str(error))
        return error.exit_status
    if isinstance(error, OSError):
        reporter.fail(_about_file(error))
        return InputError.exit_status
    if (reason := _want_of_means(error)) is not None:
        reporter.fail(f"{_place(error, reporter)}{reason}")
        return InputError.exit_status
    what = f"{type(error).__name__}: {error}".strip(": ")
    kept = _keep_traceback(error, reporter)
    reporter.fail(
        f"{_place(error, reporter)}an error that nobody foresaw ({what}). What is finished is "
        f"kept. {kept}"
    )
    return CRASHED


def _has_no_reader() -> bool:
    """Whether it is standard output that nobody reads any more, and no other pipe or socket."""
    look = select.poll()
    look.register(sys.stdout.fileno(), 0)
    return any(events & select.POLLERR for _, events in look.poll(0))


def _about_file(error: OSError) -> str:
    where = error.filename or "input/output"
    if isinstance(where, bytes):
        where = os.fsdecode(where)
    what = f"{where}: {error.strerror or error}"
    if error.errno == errno.EISDIR and error.filename:
        what += "; a file of the kit belongs there: move that folder away, or delete it"
    if error.errno == errno.EROFS:
        what += "; nothing can be written there: name another place with --run or --out"
    if error.errno == errno.EACCES:
        what += "; this user may not: ls -l shows who may. Change that, or name another place"
    if error.errno in _NO_ROOM and error.filename:
        folder = Path(where).absolute()
        there = next(place for place in (folder, *folder.parents) if place.is_dir())
        free = shutil.disk_usage(there).free / 1e6
        what += (
            f"; {free:,.0f} MB are free in {there}. What is finished is kept: make room and run "
            "the same command again"
        )
    return what


def _want_of_means(error: BaseException) -> str | None:
    if lacks_gpu_memory(error):
        return (
            "the memory of the GPU is used up, most likely by another process beside this one: "
            "look at nvidia-smi. What is finished is kept: run the same command where more is free"
        )
    if isinstance(error, MemoryError) or _NO_CPU_MEMORY in str(error):
        return (
            "the memory of this machine, or of this container or job, is used up. What is finished "
            "is kept: run the same command where there is more"
        )
    if isinstance(error, RuntimeError) and _NO_THREADS in str(error):
        return (
            "no more threads can be started; raise the limit: ulimit -u on this machine, "
            "--pids-limit of a container"
        )
    return None


def _place(error: BaseException, reporter: Reporter) -> str:
    """Name the stage and the video, as far as they are known."""
    video = _video_of(error)
    places = [reporter.at, *([f"video {video}"] if video else [])]
    known = ", ".join(place for place in places if place)
    return f"{known}: " if known else ""


def _video_of(error: BaseException) -> str | None:
    """The name of the video that the innermost call with one was about."""
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        name = getattr(frame.f_locals.get("video"), "name", None)
        found = name if isinstance(name, str) else found
    return found


def _keep_traceback(error: BaseException, reporter: Reporter) -> str:
    text = "".join(traceback.format_exception(error)).encode(errors="backslashreplace")
    name = f"mevis-submission-{os.getpid()}-{TRACEBACK}"
    places = [reporter.folder / TRACEBACK] if reporter.folder else []
    for path in (*places, Path(tempfile.gettempdir()) / name):
        with suppress(OSError):
            write_bytes(path, text)
            return f"Where it happened is kept in {path}; please send that file with a report"
    return "Where it happened is shown with --debug"
