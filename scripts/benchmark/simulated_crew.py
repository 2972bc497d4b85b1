"""Workers that only take time, on a clock that jumps from event to event."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

from submission.cluster.crew import Answered, Event, Joined, Lost, Part
from submission.cluster.queue import Task


@dataclass
class _Worker:
    admitted: bool = False
    task: Task | None = None
    life: int = 0  # counts restarts: what an earlier life had begun never ends


class SimulatedCrew:
    """A crew on a clock of its own.

    `seconds_of(worker, task)` is how long a task takes, None where the worker dies of it. A worker
    takes `start` seconds until it joins, also after it was lost. A task comes back in `parts` equal
    ones, and those that came are not done again. `arrivals` are seconds at which
    the workers begin to start, by default all at 0; `losses` are (second, worker) at which one is
    lost, whatever it does. `forget` keeps a lost worker away for good.
    """

    def __init__(
        self, arrivals: Sequence[float], seconds_of: Callable[[str, Task], float | None], *,
        start: float = 0.0, losses: Iterable[tuple[float, str]] = (), forget: bool = False,
        parts: int = 1,
    ) -> None:  # fmt: skip
        self.workers = {f"w{number}": _Worker() for number in range(len(arrivals))}
        self.given: list[tuple[float, str, str]] = []  # second, worker, task
        self._seconds_of = seconds_of
        self._start = start
        self._forget = forget
        self._parts = parts
        self._left: dict[str, int] = {}  # by task: parts that have not come back
        self._now = 0.0
        self._order = count()
        self._events: list[tuple[float, int, str, str, int]] = []
        for at, name in zip(arrivals, self.workers, strict=True):
            self._later(at + start, "joins", name)
        for at, name in losses:
            self._later(at, "dies", name, life=-1)

    def _later(self, at: float, what: str, worker: str, life: int | None = None) -> None:
        life = self.workers[worker].life if life is None else life
        heappush(self._events, (at, next(self._order), what, worker, life))

    # --- what the driver asks --------------------------------------------------------------------
    def idle(self) -> list[str]:
        return [name for name, one in self.workers.items() if one.admitted and one.task is None]

    def ready(self) -> int:
        return sum(one.admitted for one in self.workers.values())

    def may_grow(self) -> bool:
        return bool(self.workers)

    def admit(self, worker: str) -> None:
        self.workers[worker].admitted = True

    def refuse(self, worker: str) -> None:
        del self.workers[worker]

    def give(self, worker: str, task: Task) -> None:
        one = self.workers[worker]
        assert one.admitted
        assert one.task is None, "one task at a time"
        one.task = task
        self.given.append((self._now, worker, task.name))
        seconds = self._seconds_of(worker, task)
        if seconds is None:
            self._later(self._now, "dies", worker)
        else:
            left = self._left.setdefault(task.name, self._parts)
            for number in range(left):
                self._later(self._now + seconds * (number + 1) / self._parts, "gives", worker)
            self._later(self._now + seconds * left / self._parts, "ends", worker)

    def wait(self, seconds: float) -> Event | None:
        until = self._now + seconds
        while self._events and self._events[0][0] <= until:
            self._now, _, what, worker, life = heappop(self._events)
            if (event := self._event(what, worker, life)) is not None:
                return event
        self._now = until
        return None

    def now(self) -> float:
        return self._now

    # --- what happens ----------------------------------------------------------------------------
    def _event(self, what: str, worker: str, life: int) -> Event | None:
        one = self.workers.get(worker)
        if one is None or life not in (-1, one.life):
            return None
        if what == "joins":
            return Joined(worker, {"name": worker})
        task = one.task
        if what == "dies":
            if life == -1 and not one.admitted:
                return None  # it is not there to be lost
            self.workers[worker] = _Worker(life=one.life + 1)
            if not self._forget:
                self._later(self._now + self._start, "joins", worker)
            return Lost(worker, task, "killed")
        assert task is not None
        if what == "gives":
            self._left[task.name] -= 1
            return Part(worker, task, task.name)
        one.task = None
        return Answered(worker, task)
