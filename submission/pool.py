"""Several processes for work that comes in pieces, such as the videos of a split."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from submission.errors import InputError


def num_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def open_pool(*, pays: bool) -> Iterator[Executor]:
    """Give a pool with one process for each core, or one thread where processes do not pay.

    When the block ends with an error, Ctrl-C included, pieces that were not begun are dropped.
    Raises InputError when a process was killed from outside.
    """
    workers = num_cores()
    pool: Executor
    if pays and workers > 1:
        # "spawn": a forked copy of a process that holds a GPU would hold it, too.
        # Ctrl-C reaches them, too; there it ends them at once, with no word of their own.
        pool = ProcessPoolExecutor(
            workers,
            mp_context=get_context("spawn"),
            initializer=signal.signal,
            initargs=(signal.SIGINT, signal.SIG_DFL),
        )
    else:
        pool = ThreadPoolExecutor(1)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise InputError(
            f"one of {workers} processes was killed, most likely for want of memory; run the same "
            "command again on fewer cores: taskset --cpu-list 0 COMMAND"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
