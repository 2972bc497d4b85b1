"""GPU half: fill the prediction store, pass by pass and video by video; resume; no torch here.

A video is the unit of work. One that was interrupted is answered again as a whole, so that a
resumed run and an undisturbed one end with the same bytes. While a video is answered, the frames of
the next are decoded ahead of it, and the answers of the last are written behind it.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from inspect import isgeneratorfunction

from submission.dataset.frames import DECODERS, FrameSource
from submission.dataset.records import Video
from submission.errors import Fault, FaultyInput, InputError, list_faults
from submission.experts.expert import Expert, Predictions
from submission.experts.scheduling import Pass
from submission.experts.sharing import equal_answers, in_copies
from submission.masks.store import PredictionStore
from submission.masks.writer import PredictionWriter
from submission.pipeline.prepare import Prepared
from submission.terminal.progress import Reporter
from submission.video.frame_loader import FrameLoader
from submission.video.session import VideoSession


@dataclass
class Predicted:
    """What came of it: seconds in which the model did not work, and what could not be answered."""

    frames: float = 0.0  # the model waited for frames
    writing: float = 0.0  # the model waited until earlier answers were written
    written: float = 0.0  # seconds of encoding and writing, most of it behind the model
    decoded: int = 0  # frames, each time they were decoded
    faults: list[Fault] = field(default_factory=list)  # videos that could not be answered
    ran_on: dict[str, str] = field(default_factory=dict)  # by expert: what its model ran on

    def add_to(self, seconds: dict[str, float]) -> None:
        """Add the waits to the seconds of a run record."""
        for part, spent in (("frames", self.frames), ("writing", self.writing)):
            name = f"predict, waiting for {part}"
            seconds[name] = round(seconds.get(name, 0.0) + spent, 3)

    def in_words(self) -> str:
        """Return the waits in one line."""
        return (
            f"the model waited {self.frames:.1f} s for frames ({self.decoded} were decoded) and "
            f"{self.writing:.1f} s for writing, which took {self.written:.1f} s beside it"
        )

    def refuse_faults(self) -> None:
        """Raise FaultyInput with all videos that could not be answered."""
        if self.faults:
            raise FaultyInput(
                "These videos could not be answered; all others are done and kept:",
                self.faults,
                "Mend what is named and run the same command again.",
            )


def predict(
    prepared: Prepared, source: FrameSource, store: PredictionStore, reporter: Reporter
) -> Predicted:
    """Let the experts of each pass answer their videos, and keep the answers.

    A video that cannot be answered (a damaged frame) does not stop the others. Raises what a write
    raised, such as OSError for a full disk.
    """
    result = Predicted()
    passes = prepared.schedule.passes
    told = 0  # faults of what was read so far: they need not wait for the models
    budget = budget_of(prepared)
    with PredictionWriter(store) as writer, decoding() as decoders:
        feeder = Feeder(source, decoders, budget)
        for number, one in enumerate(passes, 1):
            names = [expert.name for expert in one.experts]
            reporter.stage(f"predict {number}/{len(passes)} {listed(names)}")
            writer.flush()  # an expert of this pass may read what those before it have stored
            told = tell_faults(writer.faults, told, reporter)
            prepared.models.keep_together(one.models)
            with ExitStack() as stack:
                for expert in one.experts:
                    stack.enter_context(expert.working_on(prepared.todo[expert.name]))
                _predict_pass(one, prepared, feeder, writer, reporter, result)
    result.writing, result.written = writer.waited, writer.busy
    result.faults += writer.faults
    ran_on = {expert.name: expert.ran_on() for expert in prepared.experts}
    result.ran_on = {name: words for name, words in ran_on.items() if words}
    return result


def tell_faults(faults: Sequence[Fault], told: int, reporter: Reporter) -> int:
    """Warn of answers that could not be had since the last time; the others go on."""
    if news := faults[told:]:
        reporter.warn(list_faults("these videos cannot be answered so far:", news))
    return len(faults)


@contextmanager
def decoding() -> Iterator[Executor]:
    """Threads that decode; what was not begun is dropped when the block ends early."""
    pool = ThreadPoolExecutor(DECODERS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Feeder:
    """Makes the frames of videos ahead, in threads that all videos share."""

    source: FrameSource
    decoders: Executor
    budget_bytes: int  # for one video

    def begin(self, video: Video, experts: Sequence[Expert]) -> FrameLoader:
        """Begin with the frames that the experts will ask for, of equal ones the first."""
        shape = (len(video.frame_names), *video.size)
        loader = FrameLoader(self.source.reader(video), shape, self.decoders, self.budget_bytes)
        firsts = (group[0] for group in equal_answers(experts, video))
        loader.prefetch(request for expert in firsts for request in expert.frames(video))
        return loader


def budget_of(prepared: Prepared) -> int:
    """Bytes of frames that may wait for one video: half for this one, half for the next."""
    return round(prepared.compute.frames_gb * 1e9) // 2


def _predict_pass(
    one: Pass, prepared: Prepared, feeder: Feeder, writer: PredictionWriter, reporter: Reporter,
    result: Predicted,
) -> None:  # fmt: skip
    """Go through the videos once, with all experts of the pass that have to answer each."""
    started = time.monotonic()
    rounds = rounds_of(one, prepared)
    total = sum(len(video.expressions) * len(experts) for video, experts in rounds)
    expressions, masks = 0, 0
    for number, (video, experts, loader) in enumerate(_read_ahead(rounds, feeder), 1):
        for expert, answers in ask(experts, video, loader, result.faults):
            writer.write(expert.name, video, answers)
            expressions += len(video.expressions)
            masks += video.num_masks
            rate = masks / (time.monotonic() - started)
            reporter.advance(
                video.num_masks,
                f"answers {expressions}/{total}, video {number}/{len(rounds)}, {rate:.1f} masks/s",
            )
        result.frames += loader.waited
        result.decoded += loader.decoded
        if (failure := prepared.models.failure) is not None:
            raise failure  # it would be the same for every video


def ask(
    experts: Sequence[Expert], video: Video, loader: FrameLoader, faults: list[Fault]
) -> Iterator[tuple[Expert, Predictions]]:
    """Let experts look at a video one after another, and give the answers of each.

    Of those that answer equally only the first looks, and its answers are given for each. One that
    cannot answer it gives none, and a fault is added.
    """
    groups = equal_answers(experts, video)
    session = VideoSession(loader, several=len(groups) > 1)
    for group in groups:
        answers: Predictions = iter(())
        try:
            answers = _predictions(group[0], video, session)
        except InputError as error:
            faults += [fault_of(expert.name, video.name, error) for expert in group]
        yield from zip(group, in_copies(answers, len(group)), strict=True)
    session.close()


def fault_of(expert: str, video: str, error: InputError) -> Fault:
    """Say which expert has no answer for which video, and why."""
    return Fault(f"expert {expert}, video {video}", str(error))


def _predictions(expert: Expert, video: Video, session: VideoSession) -> Predictions:
    """What an expert answers, its model done; one that is written as a generator is drawn now."""
    predictions = expert.predict(video, session)
    return iter(list(predictions)) if isgeneratorfunction(expert.predict) else predictions


def rounds_of(one: Pass, prepared: Prepared) -> list[tuple[Video, list[Expert]]]:
    """The videos of a pass, each with the experts that have to answer it."""
    asked: dict[str, tuple[Video, list[Expert]]] = {}
    for expert in one.experts:
        for video in prepared.todo[expert.name]:
            asked.setdefault(video.name, (video, []))[1].append(expert)
    return list(asked.values())


def _read_ahead(
    rounds: Sequence[tuple[Video, list[Expert]]], feeder: Feeder
) -> Iterator[tuple[Video, list[Expert], FrameLoader]]:
    """Give each video while the frames of the next are being made."""
    ahead = feeder.begin(*rounds[0])
    for (video, experts), following in zip(rounds, [*rounds[1:], None], strict=True):
        loader = ahead
        if following is not None:
            ahead = feeder.begin(*following)
        yield video, experts, loader


def listed(names: Sequence[str]) -> str:
    """Return a few names in full and of many the first two."""
    return " ".join(names) if len(names) < 4 else f"{names[0]} {names[1]} + {len(names) - 2} more"
