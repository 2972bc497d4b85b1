"""Which task is handed out next, and what becomes of one whose worker was lost; pure.

A task is a video with the experts that have to answer it; here it is no more than a name and the
work that it means. The largest goes first, so that no worker is left alone with it at the end.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from typing import Any

MOST_LOSSES = 3  # workers that one task may take with it


@dataclass(frozen=True)
class Task:
    """One piece of work, for one worker at a time."""

    name: str  # unique among the tasks of a pass
    work: float  # in any unit, such as masks
    order: Callable[[], Any] = dict  # makes what the worker is told, when it is handed out


class TaskQueue:
    """The tasks that wait: the largest first, of equal ones the earlier one."""

    def __init__(self, tasks: Iterable[Task], most_losses: int = MOST_LOSSES) -> None:
        self.losses: Counter[str] = Counter()  # by task: the workers that were lost over it
        self._most_losses = most_losses
        self._places: dict[str, int] = {}
        self._waiting: list[tuple[float, int, Task]] = []
        for place, task in enumerate(tasks):
            self._places[task.name] = place
            self._waiting.append((-task.work, place, task))
        heapify(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)

    def next(self) -> Task | None:
        """Take the task that goes next, None where none waits."""
        return heappop(self._waiting)[2] if self._waiting else None

    def put_back(self, task: Task) -> None:
        """Put a task back that its worker could not do, and another one may."""
        heappush(self._waiting, (-task.work, self._places[task.name], task))

    def came_on(self, task: Task) -> None:
        """A part of a task is done: what was lost over it before is not its fault."""
        del self.losses[task.name]

    def lost(self, task: Task) -> bool:
        """Put a task back whose worker was lost; False where it has taken too many with it."""
        self.losses[task.name] += 1
        if self.losses[task.name] >= self._most_losses:
            return False
        self.put_back(task)
        return True


def seconds_together(tasks: Iterable[Task], seconds: Mapping[str, float], workers: int) -> float:
    """When the last of so many workers is done with all tasks, where none is lost.

    `seconds` are those of each task, by its name; whoever is free takes the next.
    """
    queue, free_at = TaskQueue(tasks), [0.0] * workers
    while (task := queue.next()) is not None:
        heapreplace(free_at, free_at[0] + seconds[task.name])
    return max(free_at)
