"""The workers of a run: started over Ray, compared with the driver, and what each of them did."""

import io
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

from submission.cluster.crew import Answered, Crew, Facts, Part
from submission.cluster.dispatcher import Dispatcher, Patience
from submission.cluster.ray_crew import RayCrew
from submission.cluster.ray_session import Share, open_ray
from submission.compute import Compute
from submission.counted import counted
from submission.dataset.records import Split
from submission.errors import InputError
from submission.experts.expert import Expert
from submission.pipeline.agreement import agreement, difference_in_words
from submission.pipeline.prepare import Site
from submission.pipeline.wire import Done, site_from_json, words_for
from submission.recipes.recipe import Recipe
from submission.terminal.progress import Reporter
from submission.weights.folders import Weights

WORKER = "submission.pipeline.worker"  # has make_worker


@dataclass
class Deeds:
    """What one worker did; for the run record."""

    host: str  # the last one, where it was lost and came back on another
    gpu: str | None
    videos: int = 0  # that it finished
    masks: int = 0
    seconds: float = 0.0  # at work
    lost: int = 0  # how often it was lost


@dataclass
class Team:
    """The workers of a run, from the first that is up until the last pass is done."""

    crew: Crew
    dispatcher: Dispatcher
    site: Site  # of the first worker
    deeds: dict[str, Deeds] = field(default_factory=dict)
    _expected: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def gather(crew: Crew, patience: Patience, reporter: Reporter) -> "Team":
        """Wait for the first worker; raises InputError when none comes in time."""

        def refusal(facts: Facts) -> str:
            return difference_in_words(expected, facts["agreement"])

        expected: dict[str, Any] = {}
        dispatcher = Dispatcher(crew, refusal, reporter.warn, patience)
        site = site_from_json(dispatcher.first()["site"])
        return Team(crew, dispatcher, site, _expected=expected)

    def expect(self, split: Split, experts: Iterable[Expert]) -> None:
        """From now on a worker with other code, weights, libraries or data is refused."""
        self._expected |= agreement(split, tuple(experts), {})

    def credit(self, event: Part | Answered) -> None:
        """Keep what a worker did."""
        deeds = self._deeds(event.worker)
        if isinstance(event, Answered):
            deeds.videos += 1
            return
        done: Done = event.result
        deeds.masks += sum(len(prediction.track) for _, prediction in done.answers)
        deeds.seconds += done.seconds

    def in_words(self) -> str:
        """How many work, and how many were lost so far."""
        ready, lost = self.crew.ready(), len(self.dispatcher.tally.lost)
        return counted(ready, "worker") + (f", {lost} lost" if lost else "")

    def to_json(self) -> dict[str, Any]:
        """Who worked, what each did and what happened to them."""
        tally = self.dispatcher.tally
        for worker in self.dispatcher.facts:
            self._deeds(worker).lost = sum(one.worker == worker for one in tally.lost)
        workers = {
            name: {**vars(one), "seconds": round(one.seconds, 3)}
            for name, one in self.deeds.items()
        }
        losses = [
            {"worker": one.worker, "video": one.task and one.task.name, "why": one.why}
            for one in tally.lost
        ]
        return {"workers": workers, "losses": losses, "refused": dict(tally.refused)}

    def tell_losses(self, reporter: Reporter) -> None:
        """Say all that is known of the losses, for the log."""
        for one in self.dispatcher.tally.lost:
            reporter.detail(f"worker {one.worker} was lost: {one.details}")

    def _deeds(self, worker: str) -> Deeds:
        facts = self.dispatcher.facts[worker]
        gpu = facts["site"]["gpu"]
        deeds = self.deeds.setdefault(worker, Deeds("", None))
        deeds.host, deeds.gpu = facts["host"], gpu and gpu[0]  # where it is now, after a loss
        return deeds


@contextmanager
def open_team(
    recipe: Recipe, split: Split, weights: Weights, reporter: Reporter, *, hash_all: bool
) -> Iterator[Team]:
    """Start workers over Ray, as [compute] asks for, and have them around a block."""
    compute = recipe.compute
    refuse_one_gpu(compute)
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(_Aside(reporter)))
        with reporter.inside("starting workers", compute.ray or "on this machine"):
            share = stack.enter_context(open_ray(compute))
            device = "cuda" if share.gpus else "cpu"
            words = words_for(recipe, split, weights, device, hash_all=hash_all)
            crew = RayCrew(share, WORKER, words)
            team = Team.gather(crew, Patience(ready_within=compute.ready_within_s), reporter)
        reporter.say(share_in_words(share, compute))
        yield team


class _Aside(io.TextIOBase):
    """What Ray prints goes to the log: standard output is for results, and losses we tell."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def write(self, text: str) -> int:
        if text.strip():
            self._reporter.detail(text.strip())
        return len(text)


def refuse_one_gpu(compute: Compute) -> None:
    """Raise InputError where one GPU is named for several workers."""
    if compute.device.startswith("cuda:"):
        raise InputError(
            f"device = {compute.device} names one GPU, and workers take one each: say cuda, and "
            "choose among GPUs with CUDA_VISIBLE_DEVICES"
        )


def share_in_words(share: Share, compute: Compute) -> str:
    """How the work is divided."""
    count = "as many workers as there is room for" if share.workers is None else (
        counted(share.workers, "worker")
    )  # fmt: skip
    where = f"Ray at {compute.ray}" if compute.ray else "this machine"
    each = f"{share.gpus:g} GPU, " if share.gpus else ""
    return f"{count} on {where}: {each}{counted(share.threads, 'thread')} each"
