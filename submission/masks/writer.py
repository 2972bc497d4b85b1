"""Answers are encoded and written in a thread behind the model, in the order in which they come.

Promises: a file is there whole or not at all; a write that fails stops the run with its own error
and loses nothing that was written; when the work stops for another reason, what was answered by
then is still written.
"""

import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from submission.dataset.records import Expression, Video
from submission.errors import Fault, InputError
from submission.masks.store import Prediction, PredictionStore

WAITING = 1  # videos that may wait while one is written; each holds its masks as bits


class PredictionWriter:
    """Writes to a store; use as a context manager around the work."""

    def __init__(self, store: PredictionStore) -> None:
        self.faults: list[Fault] = []  # answers that could not be had, such as damaged given masks
        self.waited = 0.0  # seconds for which the model waited for the writing
        self.busy = 0.0  # seconds of encoding and writing
        self._store = store
        self._thread = ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()
        self._failed = False

    def __enter__(self) -> Self:
        return self

    def write(
        self, expert: str, video: Video, answers: Iterable[tuple[Expression, Prediction]]
    ) -> None:
        """Hand a video's answers on; they are drawn from the iterable in the thread.

        Raises what an earlier write raised.
        """
        self._pending.append(self._thread.submit(self._write, expert, video, answers))
        self._wait(WAITING + 1)

    def flush(self) -> None:
        """Wait until everything that was handed on is on disk; raise what a write raised."""
        self._wait(0)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self._thread.shutdown()

    def _wait(self, most: int) -> None:
        """Wait until at most so many videos are not written yet."""
        started = time.perf_counter()
        try:
            while len(self._pending) > most or (self._pending and self._pending[0].done()):
                self._pending.popleft().result()
        finally:
            self.waited += time.perf_counter() - started

    def _write(
        self, expert: str, video: Video, answers: Iterable[tuple[Expression, Prediction]]
    ) -> None:
        if self._failed:
            return
        started = time.perf_counter()
        try:
            for expression, prediction in answers:
                # What is there is the same; writing it again would make later stages look stale.
                if not self._store.path(expert, video.name, expression.id).exists():
                    self._store.write(
                        expert, video.name, expression.id, prediction, video.frame_bytes
                    )
        except InputError as error:
            self.faults.append(Fault(f"expert {expert}, video {video.name}", str(error)))
        except BaseException:
            self._failed = True  # what waits is dropped: it would fail in the same way
            raise
        finally:
            self.busy += time.perf_counter() - started
