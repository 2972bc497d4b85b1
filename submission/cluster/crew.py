"""What the driver asks of its workers, whatever runs them: Ray, a simulation or a test.

A worker joins with facts about itself, waits until it is admitted or refused, and then holds at
most one task at a time. It may be lost at any moment, and come back as a worker that joins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from submission.cluster.queue import Task

Facts = Mapping[str, Any]  # JSON values, as a worker states them about itself


@dataclass(frozen=True)
class Joined:
    """A worker is up, and has not been admitted yet."""

    worker: str
    facts: Facts


@dataclass(frozen=True)
class Part:
    """A part of a task has come back; the worker is still at it, and what came is not lost."""

    worker: str
    task: Task
    result: Any


@dataclass(frozen=True)
class Answered:
    """A worker has done its task, and is free again; the results came in parts before."""

    worker: str
    task: Task


@dataclass(frozen=True)
class Lost:
    """A worker is gone: its process, its machine, or an error that nobody foresaw."""

    worker: str
    task: Task | None  # what it held
    why: str
    details: str = ""  # all that is known, for the log


@dataclass(frozen=True)
class Unfit:
    """A worker that cannot work as it is, such as one without the data; it is not started again."""

    worker: str
    why: str
    task: Task | None = None  # what it held: another one may do it


Event = Joined | Part | Answered | Lost | Unfit


class Crew(Protocol):
    """Workers that come and go."""

    def idle(self) -> Sequence[str]:
        """Workers that are admitted and hold no task."""

    def ready(self) -> int:
        """How many workers are admitted, busy ones included."""

    def may_grow(self) -> bool:
        """Whether a worker may still join: False when all there can be were refused."""

    def admit(self, worker: str) -> None:
        """From now on a worker that joined takes tasks."""

    def refuse(self, worker: str) -> None:
        """Let a worker that joined go for good."""

    def give(self, worker: str, task: Task) -> None:
        """Hand a task to an idle worker."""

    def wait(self, seconds: float) -> Event | None:
        """Return the next thing that happens, None when nothing does for so long."""

    def now(self) -> float:
        """Seconds on this crew's clock."""
