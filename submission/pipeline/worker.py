"""What a worker does: settle the run where it is, say what it is, and answer one video at a time.

It reads data and weights at the paths that the driver names, and writes nothing: answers go back
as run lengths. Knows nothing of Ray: an actor holds one, and so does a test.
"""

import os
import platform
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from submission.cluster.crew import Facts
from submission.compute import Compute
from submission.dataset.frames import DECODERS, open_frames
from submission.dataset.mevis import read_split
from submission.dataset.records import Expression, Video
from submission.errors import Fault, InputError
from submission.experts.expert import Expert, Predictions
from submission.masks.store import Prediction, PredictionStore
from submission.pipeline.agreement import agreement, worker_code
from submission.pipeline.predict import Feeder, ask, budget_of, fault_of
from submission.pipeline.prepare import Prepared, Site, prepare, settle_site
from submission.pipeline.wire import Answers, ByExpert, Done, Order, site_to_json
from submission.pool import num_cores
from submission.recipes.stored import from_json
from submission.run.record import describe_hardware
from submission.terminal.progress import Reporter
from submission.video.frame_loader import FrameLoader
from submission.weights.folders import Weights
from submission.weights.lock_file import default_lock, read_lock


class SentAnswers(PredictionStore):
    """What earlier experts stored for the video in hand, as the driver sent it; nothing on disk."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull) / "sent")  # a path below which nothing can be
        self.identities: dict[str, Any] = {}
        self.stored: ByExpert = {}

    def identity(self, expert: str) -> Any:
        return self.identities.get(expert)

    def has(self, expert: str, video: Video, expression: Expression) -> bool:
        return expression.id in self.stored.get(expert, {})

    def read(self, expert: str, video: Video, expression: Expression) -> Prediction:
        try:
            return self.stored[expert][expression.id]
        except KeyError:
            raise InputError(f"no prediction of {expert} was sent for {video.name}") from None


class _Notes(Reporter):
    """Keeps what experts say, to be told by the driver."""

    def __init__(self) -> None:
        super().__init__("quiet")
        self.taken: list[tuple[str, str]] = []

    def say(self, text: str) -> None:
        self.taken.append(("say", text))

    def detail(self, text: str) -> None:
        self.taken.append(("detail", text))

    def warn(self, text: str) -> None:
        self.taken.append(("warn", text))

    def take(self) -> tuple[tuple[str, str], ...]:
        """What was said since the last time."""
        taken, self.taken = tuple(self.taken), []
        return taken


class Worker:
    """Answers videos of one run."""

    def __init__(self, words: Mapping[str, Any]) -> None:
        """Read data and settle limits here; raises InputError for what is not here as it should.

        The code is compared before a word is read that other code may not understand.
        """
        if (code := worker_code()) != words.get("code"):
            raise InputError(
                f"{Path(__file__).parents[1]} holds other code ({code}) than the driver runs "
                f"({words.get('code')}): install the same version of the kit on both"
            )
        os.chdir(words["folder"] if Path(words["folder"]).is_dir() else "/")
        recipe = from_json(words["recipe"])
        assert recipe.root is not None
        assert recipe.split is not None
        split = read_split(recipe.root, recipe.split, recipe.meta)
        asked = set(words["videos"])
        self._split = replace(split, videos=tuple(v for v in split.videos if v.name in asked))
        self._videos = {video.name: video for video in self._split.videos}
        self._notes = _Notes()
        self._store = SentAnswers()
        lock = read_lock(Path(words["lock"])) if words["lock"] else read_lock(default_lock())
        self._site = site_of_share(settle_site(recipe.compute), recipe.compute)
        self._prepared: Prepared = prepare(
            recipe, self._split, self._store, Weights(lock, Path(words["weights"])), self._notes,
            hash_all=words["hash_all"], to_run=True, site=self._site,
        )  # fmt: skip
        self._experts = {expert.name: expert for expert in self._prepared.experts}
        self._notes.take()  # the driver says the same of itself
        self._decoders = ThreadPoolExecutor(DECODERS)
        self._feeder = Feeder(open_frames(self._split), self._decoders, budget_of(self._prepared))

    def facts(self) -> Facts:
        """Say where this is and what decides its answers; JSON values."""
        return {
            "host": platform.node(),
            "process": os.getpid(),
            "hardware": describe_hardware(),
            "site": site_to_json(self._site),
            "agreement": agreement(self._split, self._prepared.experts, self._store.identities),
        }

    def work(self, order: Order) -> Iterator[Done]:
        """Answer a video with these experts, one after another, and give what each answers.

        Answers are encoded beside the model of the next expert. Raises InputError where a model
        cannot be loaded: it is the same for every video.
        """
        video = self._videos[order.video]
        experts = [self._experts[name] for name in order.experts]
        self._store.stored = order.stored
        self._prepared.models.keep_together(order.together)
        loader = self._feeder.begin(video, experts)
        meter = _Meter(loader)
        encoding: deque[tuple[Expert, Future[_Drawn], tuple[Fault, ...]]] = deque()
        with ThreadPoolExecutor(1) as encoder:
            faults: list[Fault] = []
            for expert, answers in ask(experts, video, loader, faults):
                if (failure := self._prepared.models.failure) is not None:
                    raise failure
                drawn = encoder.submit(_draw, expert.name, video, answers)
                encoding.append((expert, drawn, tuple(faults)))
                faults.clear()
                while encoding and encoding[0][1].done():
                    yield self._done(*encoding.popleft(), meter)
            while encoding:
                yield self._done(*encoding.popleft(), meter)

    def _done(
        self, expert: Expert, future: "Future[_Drawn]", faults: tuple[Fault, ...], meter: "_Meter"
    ) -> Done:
        drawn = future.result()
        return Done(
            expert.name, drawn.answers, (*faults, *drawn.faults), self._notes.take(),
            expert.ran_on(), *meter.since(), drawn.seconds, meter.decoded(),
        )  # fmt: skip


@dataclass(frozen=True)
class _Drawn:
    answers: Answers
    faults: tuple[Fault, ...]
    seconds: float


def _draw(expert: str, video: Video, answers: Predictions) -> _Drawn:
    started = time.perf_counter()
    try:
        found, faults = list(answers), ()
    except InputError as error:
        return _Drawn([], (fault_of(expert, video.name, error),), time.perf_counter() - started)
    return _Drawn(found, faults, time.perf_counter() - started)


class _Meter:
    """What was spent since the last time."""

    def __init__(self, loader: FrameLoader) -> None:
        self._loader = loader
        self._at, self._waited, self._decoded = time.perf_counter(), 0.0, 0

    def since(self) -> tuple[float, float]:
        """Seconds in all, and those for frames."""
        now, waited = time.perf_counter(), self._loader.waited
        spent = now - self._at, waited - self._waited
        self._at, self._waited = now, waited
        return spent

    def decoded(self) -> int:
        """Frames."""
        before, self._decoded = self._decoded, self._loader.decoded
        return self._decoded - before


def make_worker(words: Mapping[str, Any]) -> Worker:
    """What an actor calls."""
    return Worker(words)


# --- where it is ----------------------------------------------------------------------------------
def site_of_share(site: Site, compute: Compute) -> Site:
    """A site of which a worker has only a part: of a GPU's memory, or of a machine's."""
    if site.gpu is None:
        threads = int(os.environ.get("OMP_NUM_THREADS") or num_cores())
        return replace(site, free=site.free_bytes() * min(1.0, threads / num_cores()))
    share = compute.gpus_per_worker
    gpu = site.gpu.of(share)
    if share < 1:
        import torch

        # What is asked for above its share is an out-of-memory error here, not at the neighbour.
        torch.cuda.set_per_process_memory_fraction(share)
    return replace(site, gpu=gpu, free=gpu.free)
