"""Several processes for work that comes in pieces, such as the videos of a split."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context


def num_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def open_pool(*, pays: bool) -> Iterator[Executor]:
    """Give a pool with one process for each core, or one thread where processes do not pay.

    When the block ends with an error, Ctrl-C included, pieces that were not begun are dropped.
    """
    workers = num_cores()
    pool: Executor
    if pays and workers > 1:
        # "spawn": a forked copy of a process that holds a GPU would hold it, too.
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    else:
        pool = ThreadPoolExecutor(1)
    try:
        yield pool
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()
