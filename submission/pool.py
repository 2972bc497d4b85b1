"""Several processes for work that comes in pieces, such as the videos of a split."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

from submission.errors import InputError

AHEAD = 2  # calls for each process: one that is done and one that waits
_Key = TypeVar("_Key")


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


def work_through(
    pool: Executor, calls: Iterable[tuple[_Key, Callable[..., Any], tuple[Any, ...]]]
) -> Iterator[tuple[_Key, Any]]:
    """Give the key and result of each call (key, function, arguments), in the order they end.

    Few calls are drawn ahead of the results: what they carry is not held for all at once. Raises
    what a call raised.
    """
    under_way: dict[Future[Any], _Key] = {}
    for key, function, arguments in calls:
        under_way[pool.submit(function, *arguments)] = key
        if len(under_way) >= AHEAD * num_cores():
            yield from _finished(under_way)
    while under_way:
        yield from _finished(under_way)


def _finished(under_way: dict[Future[Any], _Key]) -> Iterator[tuple[_Key, Any]]:
    """Wait for a call or several, and take them out."""
    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
    for future in done:
        yield under_way.pop(future), future.result()
