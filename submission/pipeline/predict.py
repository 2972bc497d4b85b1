"""GPU half: fill the prediction store, pass by pass and video by video; resume; no torch here.

A video is the unit of work. One that was interrupted is answered again as a whole, so that a
resumed run and an undisturbed one end with the same bytes. While a video is answered, the frames of
the next are decoded ahead of it, and the answers of the last are written behind it.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from submission.dataset.frames import DECODERS, FrameSource
from submission.dataset.records import Split, Video
from submission.errors import Fault, FaultyInput, InputError
from submission.experts.expert import Expert
from submission.masks.store import PredictionStore
from submission.masks.writer import Keeper
from submission.progress import Reporter
from submission.video.frame_loader import FrameLoader
from submission.video.session import VideoSession

Work = Sequence[tuple[Expert, Sequence[Video]]]  # one pass: experts, and what each has to answer


@dataclass
class Waits:
    """Seconds in which the model did not work, and what the threads around it did."""

    frames: float = 0.0  # the model waited for frames
    writing: float = 0.0  # the model waited until earlier answers were written
    written: float = 0.0  # seconds of encoding and writing, most of it behind the model
    decoded: int = 0  # frames, each time they were decoded

    def add_to(self, seconds: dict[str, float]) -> None:
        """Add them to the seconds of a run record."""
        for part, spent in (("frames", self.frames), ("writing", self.writing)):
            name = f"predict, waiting for {part}"
            seconds[name] = round(seconds.get(name, 0.0) + spent, 3)

    def in_words(self) -> str:
        """Return one line."""
        return (
            f"the model waited {self.frames:.1f} s for frames ({self.decoded} were decoded) and "
            f"{self.writing:.1f} s for writing, which took {self.written:.1f} s beside it"
        )


def remaining(store: PredictionStore, expert: str, split: Split) -> list[Video]:
    """Videos with a sentence that the expert has not answered.

    Raises StoreMismatch with every answer that belongs to another sentence or video.
    """
    unanswered = {video.name for video, _ in store.unanswered(expert, split)}
    return [video for video in split.videos if video.name in unanswered]


def claim_all(store: PredictionStore, experts: Sequence[Expert]) -> None:
    """Refuse, before any work, a store that was filled by other settings, weights or code."""
    for expert in experts:
        store.claim(expert.name, expert.identity())


def predict(
    passes: Sequence[Work], source: FrameSource, store: PredictionStore, room: int,
    reporter: Reporter, waits: Waits,
) -> None:  # fmt: skip
    """Let the experts of each pass answer their videos, and keep the answers.

    `room` is how many bytes of decoded frames may wait, half for this video and half for the next.
    `waits` is added to, also when the work stops early. A video that cannot be answered (a damaged
    frame) does not stop the others. Raises FaultyInput at the end with all of them.
    """
    faults: list[Fault] = []
    keeper = Keeper(store)
    try:
        with keeper, _decoders() as decoders:
            feeder = _Feeder(source, decoders, room // 2)
            for number, work in enumerate(passes, 1):
                if any(videos for _, videos in work):
                    names = [expert.name for expert, _ in work]
                    reporter.stage(f"predict {number}/{len(passes)} {_listed(names)}")
                    faults += _predict_pass(work, feeder, keeper, reporter, waits)
    finally:
        waits.writing += keeper.waited
        waits.written += keeper.busy
    faults += keeper.faults
    if faults:
        raise FaultyInput(
            "These videos could not be answered; all others are done and kept:",
            faults,
            "Mend the files and run the same command again.",
        )


@contextmanager
def _decoders() -> Iterator[Executor]:
    """Threads that decode; what was not begun is dropped when the block ends early."""
    pool = ThreadPoolExecutor(DECODERS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Feeder:
    """Makes the frames of videos ahead, in threads that all videos share."""

    source: FrameSource
    decoders: Executor
    room: int  # bytes, for one video

    def begin(self, video: Video, experts: Sequence[Expert]) -> FrameLoader:
        """Begin with the frames that the experts will ask for."""
        shape = (len(video.frame_names), *video.size)
        loader = FrameLoader(self.source.reader(video), shape, self.decoders, self.room)
        loader.prefetch(request for expert in experts for request in expert.frames(video))
        return loader


def _predict_pass(
    work: Work, feeder: _Feeder, keeper: Keeper, reporter: Reporter, waits: Waits
) -> Iterator[Fault]:
    started = time.monotonic()
    sentences, masks = 0, 0
    rounds = _rounds(work)
    total = sum(len(video.expressions) * len(experts) for video, experts in rounds)
    for number, (video, experts, loader) in enumerate(_read_ahead(rounds, feeder), 1):
        session = VideoSession(loader, several=len(experts) > 1)
        for expert in experts:
            try:
                keeper.keep(expert.name, video, expert.predict(video, session))
            except InputError as error:
                yield Fault(f"expert {expert.name}, video {video.name}", str(error))
            sentences += len(video.expressions)
            masks += video.num_masks
            rate = masks / (time.monotonic() - started)
            reporter.advance(
                video.num_masks,
                f"video {number}/{len(rounds)}, sentence {sentences}/{total}, {rate:.1f} masks/s",
            )
        waits.frames += loader.waited
        waits.decoded += loader.decoded
        session.close()


def _rounds(work: Work) -> list[tuple[Video, list[Expert]]]:
    """The videos of a pass, each with the experts that have to answer it."""
    asked: dict[str, tuple[Video, list[Expert]]] = {}
    for expert, videos in work:
        for video in videos:
            asked.setdefault(video.name, (video, []))[1].append(expert)
    return list(asked.values())


def _read_ahead(
    rounds: Sequence[tuple[Video, list[Expert]]], feeder: _Feeder
) -> Iterator[tuple[Video, list[Expert], FrameLoader]]:
    """Give each video while the frames of the next are being made."""
    ahead = feeder.begin(*rounds[0])
    for (video, experts), following in zip(rounds, [*rounds[1:], None], strict=True):
        loader = ahead
        if following is not None:
            ahead = feeder.begin(*following)
        yield video, experts, loader


def _listed(names: Sequence[str]) -> str:
    """Return a few names in full and of many the first two."""
    return " ".join(names) if len(names) < 4 else f"{names[0]} {names[1]} + {len(names) - 2} more"
