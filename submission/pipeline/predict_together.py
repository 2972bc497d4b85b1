"""GPU half with several workers: hand out videos, keep what comes back; the driver alone writes.

Which worker answers a video changes nothing in the answer, so a run on one worker, on sixty, and
one of which workers are killed all the time end with the same bytes. Orders, answers and faults
are those of `predict`.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from submission.cluster.crew import Answered, Crew, Facts
from submission.cluster.dispatcher import Dispatcher, Patience
from submission.cluster.queue import Task
from submission.cluster.ray_crew import RayCrew
from submission.cluster.ray_session import Share, open_ray
from submission.compute import Compute
from submission.dataset.records import Split, Video
from submission.errors import Fault, InputError
from submission.experts.expert import Expert
from submission.masks.store import Prediction, PredictionStore
from submission.masks.writer import PredictionWriter
from submission.pipeline.agreement import agreement, difference_in_words
from submission.pipeline.predict import Predicted, listed, rounds_of, tell_faults
from submission.pipeline.prepare import Prepared, Site
from submission.pipeline.worker import ByExpert, Done, Order, site_from_json, words_for
from submission.progress import Reporter
from submission.recipe import Recipe
from submission.weights.folders import Weights

WORKER = "submission.pipeline.worker"  # has make_worker


@dataclass
class Deeds:
    """What one worker did; for the run record."""

    host: str
    gpu: str | None
    videos: int = 0
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

    def credit(self, answered: Answered, masks: int) -> None:
        """Keep what a worker did."""
        done: Done = answered.result
        deeds = self._deeds(answered.worker)
        deeds.videos, deeds.masks = deeds.videos + 1, deeds.masks + masks
        deeds.seconds += done.seconds

    def in_words(self) -> str:
        """How many work, and how many were lost so far."""
        ready, lost = self.crew.ready(), len(self.dispatcher.tally.lost)
        return f"{ready} worker{'s' * (ready != 1)}" + (f", {lost} lost" if lost else "")

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
        return self.deeds.setdefault(worker, Deeds(facts["host"], gpu and gpu[0]))


@contextmanager
def open_team(
    recipe: Recipe, split: Split, weights: Weights, reporter: Reporter, *, hash_all: bool
) -> Iterator[Team]:
    """Start workers over Ray, as [compute] asks for, and have them around a block."""
    compute = recipe.compute
    refuse_one_gpu(compute)
    with (
        reporter.inside("starting workers", compute.ray or "on this machine"),
        open_ray(compute) as share,
    ):
        device = "cuda" if share.gpus else "cpu"
        words = words_for(recipe, split, weights, device, hash_all=hash_all)
        crew = RayCrew(share, WORKER, words)
        team = Team.gather(crew, Patience(ready_within=compute.ready_within_s), reporter)
        reporter.say(share_in_words(share, compute))
        yield team


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
        f"{share.workers} worker{'s' * (share.workers != 1)}"
    )  # fmt: skip
    where = f"Ray at {compute.ray}" if compute.ray else "this machine"
    each = f"{share.gpus:g} GPU, " if share.gpus else ""
    threads = f"{share.threads} thread{'s' * (share.threads != 1)}"
    return f"{count} on {where}: {each}{threads} each"


def predict_together(
    prepared: Prepared, team: Team, store: PredictionStore, reporter: Reporter
) -> Predicted:
    """Let workers answer the videos of each pass, the longest first, and keep the answers.

    Raises as `predict` does, and InputError when no worker is there for too long.
    """
    result = Predicted()
    team.expect(prepared.split, prepared.experts)
    passes = prepared.schedule.passes
    told = 0
    with PredictionWriter(store) as writer:
        for number, one in enumerate(passes, 1):
            reporter.stage(
                f"predict {number}/{len(passes)} {listed([e.name for e in one.experts])}"
            )
            writer.flush()  # an expert of this pass may read what those before it have stored
            told = tell_faults(writer.faults, told, reporter)
            rounds = {video.name: (video, experts) for video, experts in rounds_of(one, prepared)}
            tasks = [
                Task(video.name, video.num_masks * len(experts),
                     partial(_order, video, experts, one.models, store))
                for video, experts in rounds.values()
            ]  # fmt: skip
            progress = _Progress(team, reporter, rounds)
            for ended in team.dispatcher.work_through(tasks):
                if isinstance(ended, Fault):
                    result.faults.append(ended)
                    progress.advance(ended.where.removeprefix("video "))
                    continue
                video, _ = rounds[ended.task.name]
                _keep(ended.result, video, writer, result, reporter)
                team.credit(ended, sum(len(a) for a in ended.result.answers.values())
                            * len(video.frame_names))  # fmt: skip
                progress.advance(video.name)
    result.writing, result.written = writer.waited, result.written + writer.busy
    result.faults += writer.faults
    return result


class _Progress:
    """The line of a pass."""

    def __init__(
        self, team: Team, reporter: Reporter, rounds: dict[str, tuple[Video, list[Expert]]]
    ) -> None:
        self._team, self._reporter, self._rounds = team, reporter, rounds
        self._started = time.monotonic()
        self._videos = self._masks = 0

    def advance(self, name: str) -> None:
        """A video has ended."""
        video, experts = self._rounds[name]
        units = video.num_masks * len(experts)
        self._videos, self._masks = self._videos + 1, self._masks + units
        rate = self._masks / max(time.monotonic() - self._started, 1e-9)
        self._reporter.advance(
            units, f"video {self._videos}/{len(self._rounds)}, {rate:.1f} masks/s, "
            f"{self._team.in_words()}",
        )  # fmt: skip


def _keep(
    done: Done, video: Video, writer: PredictionWriter, result: Predicted, reporter: Reporter
) -> None:
    for kind, text in done.notes:
        {"say": reporter.say, "warn": reporter.warn, "detail": reporter.detail}[kind](text)
    for expert, answers in done.answers.items():
        writer.write(expert, video, answers)
    result.faults += done.faults
    result.ran_on |= done.ran_on
    result.frames += done.waited
    result.decoded += done.decoded
    result.written += done.encoding


def _order(
    video: Video, experts: list[Expert], models: Mapping[str, float], store: PredictionStore
) -> Order:
    """What a worker is told, made when the video is handed out."""
    before = sorted({name for expert in experts for name in expert.after()})
    stored: ByExpert = {name: _stored(name, video, store) for name in before}
    return Order(video.name, tuple(expert.name for expert in experts), dict(models), stored)


def _stored(expert: str, video: Video, store: PredictionStore) -> dict[str, Prediction]:
    return {
        expression.id: store.read(expert, video, expression)
        for expression in video.expressions
        if store.has(expert, video, expression)
    }
