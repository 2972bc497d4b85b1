"""What runs in an actor's process: it holds one worker, made from plain words when it is asked to.

Nothing of the run is unpickled before the worker has said what it is, so that a machine with other
code states that instead of failing on it.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from submission.errors import InputError


class Host:
    """Holds a worker; `maker` names a module with `make_worker(words)`."""

    def __init__(self, maker: str, words: Mapping[str, Any]) -> None:
        self._maker = maker
        self._words = words
        self._worker: Any = None

    def begin(self) -> tuple[str, Any]:
        """Make the worker; return ("joined", facts), or ("unfit", why) where it cannot work."""
        try:
            if self._worker is None:
                self._worker = import_module(self._maker).make_worker(self._words)
            return "joined", dict(self._worker.facts())
        except InputError as error:
            return "unfit", str(error)

    def work(self, order: Any) -> Iterator[Any]:
        """Do a task, part by part; InputError is for what this worker can do no task without."""
        yield from self._worker.work(order)
