"""Try again what may pass: dropped connections, busy servers; with growing pauses, not for ever."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from submission.errors import InputError

Result = TypeVar("Result")


class TryAgain(Exception):
    """A failure that may pass; `wait` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Patience:
    """How often to try without progress, and how long to pause between: doubling, bounded."""

    attempts: int = 6
    first_pause: float = 0.5  # seconds
    longest_pause: float = 30.0

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        return min(self.longest_pause, self.first_pause * 2.0 ** (failures - 1))


def persist(
    attempt: Callable[[], Result],
    patience: Patience,
    *,
    progress: Callable[[], int] = lambda: 0,
    pause: Callable[[float], Any] = time.sleep,
) -> Result:
    """Call `attempt` until it returns; give up after `patience.attempts` without progress.

    `progress` returns how far the work is: a download that gets further each time goes on for as
    long as it does. Raises InputError with the last reason.
    """
    failures, furthest = 0, progress()
    while True:
        try:
            return attempt()
        except TryAgain as error:
            failures = 1 if progress() > furthest else failures + 1
            furthest = max(furthest, progress())
            if failures >= patience.attempts:
                raise InputError(
                    f"{error}; gave up after {failures} attempts. What is finished is kept: run "
                    "the same command again later"
                ) from None
            pause(patience.pause(failures) if error.wait is None else error.wait)
