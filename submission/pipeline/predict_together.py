"""GPU half with several workers: hand out videos, keep what comes back; the driver alone writes.

Which worker answers a video changes nothing in the answer, so a run on one worker, on sixty, and
one of which workers were killed all the time end with the same bytes. Answers come back expert by
expert, so that a lost worker costs one expert's answers to one video. Faults are as in `predict`.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial

from submission.cluster.crew import Part
from submission.cluster.queue import Task
from submission.dataset.records import Video
from submission.errors import Fault
from submission.experts.expert import Expert
from submission.masks.store import Prediction, PredictionStore
from submission.masks.writer import PredictionWriter
from submission.pipeline.predict import Predicted, listed, rounds_of, tell_faults
from submission.pipeline.prepare import Prepared
from submission.pipeline.team import Team
from submission.pipeline.wire import ByExpert, Done, Order
from submission.terminal.progress import Reporter


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
            names = listed([expert.name for expert in one.experts])
            reporter.stage(f"predict {number}/{len(passes)} {names}")
            writer.flush()  # an expert of this pass may read what those before it have stored
            told = tell_faults(writer.faults, told, reporter)
            asked = [_Asked(*each) for each in rounds_of(one, prepared)]
            _hand_out(asked, one.models, team, store, writer, reporter, result)
    result.writing, result.written = writer.waited, result.written + writer.busy
    result.faults += writer.faults
    return result


class _Asked:
    """A video of a pass, and the experts whose answers have not come back."""

    def __init__(self, video: Video, experts: Sequence[Expert]) -> None:
        self.video = video
        self.left = {expert.name: expert for expert in experts}

    @property
    def num_masks(self) -> int:
        """Of all that is left."""
        return self.video.num_masks * len(self.left)

    def order(self, models: Mapping[str, float], store: PredictionStore) -> Order:
        """What a worker is told when the video is handed out."""
        before = sorted({name for expert in self.left.values() for name in expert.after()})
        stored: ByExpert = {name: _stored(name, self.video, store) for name in before}
        return Order(self.video.name, tuple(self.left), dict(models), stored)


def _hand_out(
    asked: Sequence[_Asked], models: Mapping[str, float], team: Team, store: PredictionStore,
    writer: PredictionWriter, reporter: Reporter, result: Predicted,
) -> None:  # fmt: skip
    """Go through the videos of a pass."""
    progress = _Progress(team, reporter, len(asked))
    named = {one.video.name: one for one in asked}
    tasks = [
        Task(name, one.num_masks, partial(one.order, models, store)) for name, one in named.items()
    ]
    for event in team.dispatcher.work_through(tasks):
        if isinstance(event, Fault):
            result.faults.append(event)
            progress.advance(named[event.where.removeprefix("video ")].num_masks, ended=True)
            continue
        team.credit(event)
        one = named[event.task.name]
        if isinstance(event, Part):
            _keep(event.result, one.video, writer, result, reporter)
            del one.left[event.result.expert]
            progress.advance(one.video.num_masks)
        else:
            progress.advance(0, ended=True)


class _Progress:
    """The line of a pass."""

    def __init__(self, team: Team, reporter: Reporter, videos: int) -> None:
        self._team, self._reporter, self._total = team, reporter, videos
        self._started = time.monotonic()
        self._videos = self._masks = 0

    def advance(self, masks: int, *, ended: bool = False) -> None:
        """An expert has answered a video, or the video has ended."""
        self._videos, self._masks = self._videos + ended, self._masks + masks
        rate = self._masks / max(time.monotonic() - self._started, 1e-9)
        self._reporter.advance(
            masks, f"video {self._videos}/{self._total}, {rate:.1f} masks/s, "
            f"{self._team.in_words()}",
        )  # fmt: skip


def _keep(
    done: Done, video: Video, writer: PredictionWriter, result: Predicted, reporter: Reporter
) -> None:
    for kind, text in done.notes:
        {"say": reporter.say, "warn": reporter.warn, "detail": reporter.detail}[kind](text)
    writer.write(done.expert, video, done.answers)
    result.faults += done.faults
    if done.ran_on:
        result.ran_on[done.expert] = done.ran_on
    result.frames += done.waited
    result.decoded += done.decoded
    result.written += done.encoding


def _stored(expert: str, video: Video, store: PredictionStore) -> dict[str, Prediction]:
    return {
        expression.id: store.read(expert, video, expression)
        for expression in video.expressions
        if store.has(expert, video, expression)
    }
