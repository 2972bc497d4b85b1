"""Workers as Ray actors: started, watched, started again, and added as a cluster grows."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from submission.cluster.crew import Answered, Event, Joined, Lost, Part, Unfit
from submission.cluster.host import Host
from submission.cluster.queue import Task
from submission.cluster.ray_session import Share, import_ray
from submission.errors import InputError

MAX_RESTARTS = 2  # of an actor by Ray itself, at once; after that a new one, with a pause
PAUSE, LONGEST_PAUSE = 5.0, 300.0  # seconds; doubled with each loss that no answer came between
GROW_EVERY = 10.0  # seconds between looks at what a cluster has


@dataclass
class _Slot:
    """A place for one worker, and the actor that fills it now."""

    actor: Any = None
    call: Any = None  # what it is at: coming up, or a task
    task: Task | None = None
    admitted: bool = False
    host: str = ""  # known once it has joined
    deaths: int = 0  # in a row, without an answer in between
    not_before: float = 0.0  # when it may be filled again


class RayCrew:
    """A crew of actors, each holding a worker that `maker.make_worker(words)` makes."""

    def __init__(self, share: Share, maker: str, words: Mapping[str, Any]) -> None:
        self._ray = import_ray()
        self._share = share
        self._host = self._ray.remote(Host).options(
            num_gpus=share.gpus, num_cpus=share.cores, max_restarts=MAX_RESTARTS,
            max_task_retries=0,  # the driver hands a task out again, and counts
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(share.threads)}},
        )  # fmt: skip
        self._words = (maker, words)
        self._slots: dict[str, _Slot] = {}
        self._refused: set[str] = set()
        self._started = 0
        self._looked = -GROW_EVERY

    # --- what the driver asks --------------------------------------------------------------------
    def idle(self) -> list[str]:
        return [name for name, slot in self._slots.items() if slot.admitted and slot.task is None]

    def ready(self) -> int:
        return sum(slot.admitted for slot in self._slots.values())

    def may_grow(self) -> bool:
        return self._share.workers is None or bool(self._slots) or not self._refused

    def admit(self, worker: str) -> None:
        self._slots[worker].admitted = True

    def refuse(self, worker: str) -> None:
        slot = self._slots.pop(worker)
        self._refused.add(worker)
        self._ray.kill(slot.actor)

    def give(self, worker: str, task: Task) -> None:
        slot = self._slots[worker]
        slot.task = task
        slot.call = slot.actor.work.options(num_returns="streaming").remote(task.order())

    def wait(self, seconds: float) -> Event | None:
        self._grow()
        self._fill()
        calls = {slot.call: name for name, slot in self._slots.items() if slot.call is not None}
        if not calls:
            time.sleep(min(seconds, 0.5))
            return None
        done, _ = self._ray.wait(list(calls), num_returns=1, timeout=seconds)
        return self._event(calls[done[0]]) if done else None

    def now(self) -> float:
        return time.monotonic()

    # --- coming and going ------------------------------------------------------------------------
    def _grow(self) -> None:
        """Have a slot for each worker that there is room for; one at least, to be waited for."""
        if (wanted := self._share.workers) is None:
            if self.now() - self._looked < GROW_EVERY:
                return
            self._looked = self.now()
            wanted = max(1, self._share.fitting(dict(self._ray.cluster_resources())))
        for _ in range(wanted - len(self._slots) - len(self._refused)):
            self._started += 1
            self._slots[str(self._started)] = _Slot()

    def _fill(self) -> None:
        for slot in self._slots.values():
            if slot.actor is None and self.now() >= slot.not_before:
                slot.actor = self._host.remote(*self._words)
                slot.call = slot.actor.begin.remote()

    def _event(self, name: str) -> Event | None:
        slot = self._slots[name]
        try:
            if slot.task is not None:
                part = Part(name, slot.task, self._ray.get(next(slot.call)))
                slot.deaths = 0
                return part
            (what, words), slot.call = self._ray.get(slot.call), None
        except StopIteration:
            task, slot.task, slot.call = slot.task, None, None
            assert task is not None
            return Answered(name, task)
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, InputError):  # such as a model that cannot be loaded there
                self.refuse(name)
                return Unfit(name, str(cause), slot.task)
            return self._lost(name, slot, error)
        if what == "unfit":
            self.refuse(name)
            return Unfit(name, words)
        slot.host = words["host"]
        return Joined(name, words)

    def _lost(self, name: str, slot: _Slot, error: Exception) -> Lost:
        """Let Ray start the actor again where it does, else plan a new one after a pause."""
        task, slot.task, slot.call, slot.admitted = slot.task, None, None, False
        slot.deaths += 1
        if isinstance(error, self._ray.exceptions.ActorUnavailableError):
            slot.call = slot.actor.begin.remote()  # waits until Ray has started it again
        else:
            self._ray.kill(slot.actor)  # after an error its process, and its GPU, are not trusted
            slot.actor = None
            pause = PAUSE * 2 ** max(0, slot.deaths - 1) if slot.deaths > 1 else 0.0
            slot.not_before = self.now() + min(pause, LONGEST_PAUSE)
        on = f", on {slot.host}" if slot.host else ""
        return Lost(name, task, self._why(error) + on, str(error))

    def _why(self, error: Exception) -> str:
        known = self._ray.exceptions
        if isinstance(error, known.RayTaskError):
            cause = error.cause if isinstance(error.cause, BaseException) else error
            lines = str(cause).strip().splitlines() or [""]
            return f"{type(cause).__name__}: {lines[0]}"
        if isinstance(error, known.OutOfMemoryError):
            return "the machine ran out of memory"
        if "creation task" in (text := str(error).strip()):  # the kit is not there, most likely
            return text.splitlines()[-1]
        return "its process or machine ended"
