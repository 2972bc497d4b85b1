"""The driver's loop: hand out tasks, take answers, and go on when workers are lost or join.

Promises: every task ends as exactly one answer or one fault; one worker holds one task; what came
of a task before its worker was lost is kept; no number of workers is waited for. Knows neither Ray
nor what a task is, so that tests and a simulation run the very loop that a cluster runs.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from submission.cluster.crew import Answered, Crew, Event, Facts, Joined, Lost, Part, Unfit
from submission.cluster.queue import MOST_LOSSES, Task, TaskQueue
from submission.errors import Fault, InputError

POLL = 5.0  # seconds after which it is looked whether anybody is there at all
MOST_GIVEN_UP = 3  # tasks in a row: then it is not the tasks


@dataclass(frozen=True)
class Patience:
    """When a run without workers, or with workers that only die, is given up."""

    ready_within: float = 600.0  # seconds for which no worker may be there
    losses_of_a_task: int = MOST_LOSSES
    given_up_in_a_row: int = MOST_GIVEN_UP


@dataclass
class Tally:
    """What happened to the workers, for progress and for the record."""

    lost: list[Lost] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # by worker: why


class Dispatcher:
    """Hands out the tasks of one pass after another to one crew."""

    def __init__(
        self, crew: Crew, refusal: Callable[[Facts], str], tell: Callable[[str], None],
        patience: Patience | None = None,
    ) -> None:  # fmt: skip
        """`refusal` says why a worker may not work, "" where it may; `tell` warns of what happens.

        It is asked when tasks are handed out, not when a worker joins.
        """
        self.tally = Tally()
        self.facts: dict[str, Facts] = {}  # of the workers that were admitted
        self._crew = crew
        self._refusal = refusal
        self._tell = tell
        self._patience = patience or Patience()
        self._joined: list[Joined] = []  # not admitted yet
        self._alone_since: float | None = None

    def first(self) -> Facts:
        """Wait for a worker and return what it says of itself; it is admitted when work begins.

        Raises InputError when none comes in time.
        """
        while not self._joined:
            self._next_event()
            self._refuse_to_wait()
        return self._joined[0].facts

    def work_through(self, tasks: Iterable[Task]) -> Iterator[Part | Answered | Fault]:
        """Give what comes of every task, its end, and a fault for each that was given up.

        Raises InputError when no worker is there for too long, or when tasks are given up one
        after another.
        """
        queue = TaskQueue(tasks, self._patience.losses_of_a_task)
        left, in_a_row = len(queue), 0
        while left:
            self._admit_joined()
            for worker in self._crew.idle()[: len(queue)]:
                if (task := queue.next()) is not None:
                    self._crew.give(worker, task)
            event = self._next_event()
            if isinstance(event, Part):
                queue.came_on(event.task)
                in_a_row = 0
                yield event
            elif isinstance(event, Answered):
                left, in_a_row = left - 1, 0
                yield event
            elif isinstance(event, Lost) and event.task is not None and not queue.lost(event.task):
                left, in_a_row = left - 1, in_a_row + 1
                yield self._given_up(event, event.task, in_a_row)
            elif isinstance(event, Unfit) and event.task is not None:
                queue.put_back(event.task)
            self._refuse_to_wait()

    def _next_event(self) -> Event | None:
        event = self._crew.wait(POLL)
        if isinstance(event, Joined):
            self._joined.append(event)
        elif isinstance(event, Lost):
            self.tally.lost.append(event)
            self._joined = [one for one in self._joined if one.worker != event.worker]
            over = f" over {event.task.name}" if event.task else ""
            self._tell(f"worker {event.worker} was lost{over}: {event.why}")
        elif isinstance(event, Unfit):
            self._refused(event.worker, event.why)
        return event

    def _admit_joined(self) -> None:
        for one in self._joined:
            if why := self._refusal(one.facts):
                self._crew.refuse(one.worker)
                self._refused(one.worker, why)
            else:
                self._crew.admit(one.worker)
                self.facts[one.worker] = one.facts
        self._joined.clear()

    def _refused(self, worker: str, why: str) -> None:
        self.tally.refused[worker] = why
        self._tell(f"worker {worker} is refused: {why}")

    def _given_up(self, event: Lost, task: Task, in_a_row: int) -> Fault:
        losses = self._patience.losses_of_a_task
        if in_a_row >= self._patience.given_up_in_a_row:
            raise InputError(
                f"{in_a_row} videos, one after another, took {losses} workers each, so it is not "
                f"the videos. The last one: {task.name}, {event.why}. What is finished is kept: "
                "mend that and run the same command again"
            )
        return Fault(f"video {task.name}", f"it took {losses} workers; the last one: {event.why}")

    def _refuse_to_wait(self) -> None:
        """Raise InputError when nobody has been there for too long, or nobody can come."""
        if self._crew.ready() or self._joined:
            self._alone_since = None
            return
        now = self._crew.now()
        if self._alone_since is None:
            self._alone_since = now
        if self._crew.may_grow() and now - self._alone_since < self._patience.ready_within:
            return
        reasons = [f"\n  {worker}: {why}" for worker, why in self.tally.refused.items()]
        if lost := self.tally.lost[-1:]:
            reasons.append(f"\n  {lost[0].worker}: {lost[0].why}")
        waited = f"for {now - self._alone_since:.0f} s " if self._crew.may_grow() else ""
        raise InputError(
            f"no worker was ready {waited or 'that may work '}".rstrip()
            + (":" + "".join(reasons[-5:]) if reasons else "")
            + ("\n" if reasons else ". ")
            + "What is finished is kept: look at `ray status`, or raise [compute] ready_within_s, "
            "and run the same command again"
        )
