"""Work in several processes: where it pays, and what happens when it goes wrong."""

import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from submission import pool
from submission.errors import InputError


def test_processes_are_started_only_where_they_pay(monkeypatch):
    monkeypatch.setattr(pool, "num_cores", lambda: 2)
    with pool.open_pool(pays=False) as workers:
        assert isinstance(workers, ThreadPoolExecutor)
    with pool.open_pool(pays=True) as workers:
        assert isinstance(workers, ProcessPoolExecutor)
    monkeypatch.setattr(pool, "num_cores", lambda: 1)
    with pool.open_pool(pays=True) as workers:
        assert isinstance(workers, ThreadPoolExecutor)


def test_an_error_drops_what_was_not_begun():
    gate = threading.Event()
    with pytest.raises(KeyboardInterrupt), pool.open_pool(pays=False) as workers:  # noqa: PT012
        begun = workers.submit(gate.wait, 10)
        waiting = workers.submit(abs, -1)
        threading.Timer(0.2, gate.set).start()
        raise KeyboardInterrupt
    assert begun.result()
    assert waiting.cancelled()


def test_a_killed_process_is_told_in_a_sentence(monkeypatch):
    monkeypatch.setattr(pool, "num_cores", lambda: 2)
    with (
        pytest.raises(InputError, match="processes was killed, most likely for want of memory"),
        pool.open_pool(pays=True) as workers,
    ):
        workers.submit(os.kill, workers.submit(os.getpid).result(), signal.SIGKILL).result()
