"""GPU half: fill the prediction store, expert by expert and video by video; resume; no torch here.

A video is the unit of work. One that was interrupted is answered again as a whole, so that a
resumed run and an undisturbed one end with the same bytes.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from submission.dataset.frames import FrameSource
from submission.dataset.records import Split, Video
from submission.errors import Fault, FaultyInput, InputError
from submission.experts import Expert, Frames
from submission.masks.store import PredictionStore
from submission.progress import Reporter


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
    work: Sequence[tuple[Expert, Sequence[Video]]],
    source: FrameSource,
    store: PredictionStore,
    reporter: Reporter,
) -> None:
    """Let every expert answer its videos and keep the answers.

    A video that cannot be answered (a damaged frame) does not stop the others. Raises FaultyInput
    at the end with all of them.
    """
    faults: list[Fault] = []
    for number, (expert, videos) in enumerate(work, 1):
        if videos:
            reporter.stage(f"predict {number}/{len(work)} {expert.name}")
            faults += _predict_videos(expert, videos, source, store, reporter)
    if faults:
        raise FaultyInput(
            "These videos could not be answered; all others are done and kept:",
            faults,
            "Mend the files and run the same command again.",
        )


def _predict_videos(
    expert: Expert,
    videos: Sequence[Video],
    source: FrameSource,
    store: PredictionStore,
    reporter: Reporter,
) -> Iterator[Fault]:
    started = time.monotonic()
    sentences, frames_done = 0, 0
    total = sum(len(video.expressions) for video in videos)
    for number, (video, frames) in enumerate(_read_ahead(expert, videos, source), 1):
        try:
            for expression, prediction in expert.answer(video, frames.result()):
                # What is there is the same; writing it again would make later stages look stale.
                if not store.path(expert.name, video.name, expression.id).exists():
                    store.write(expert.name, video.name, expression.id, prediction)
        except InputError as error:
            yield Fault(f"expert {expert.name}, video {video.name}", str(error))
        sentences += len(video.expressions)
        frames_done += video.num_masks
        rate = frames_done / (time.monotonic() - started)
        reporter.advance(
            video.num_masks,
            f"video {number}/{len(videos)}, sentence {sentences}/{total}, {rate:.1f} frames/s",
        )


def _read_ahead(
    expert: Expert, videos: Sequence[Video], source: FrameSource
) -> Iterator[tuple[Video, "Future[Frames | None]"]]:
    """Give each video with its frames, while those of the next are being decoded."""

    def read(video: Video) -> Frames | None:
        return source.read(video) if expert.needs_frames else None

    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(read, videos[0])
        for video, following in zip(videos, [*videos[1:], None], strict=True):
            current = ahead
            if following is not None:
                current.exception()  # wait: at most two videos are in memory
                ahead = pool.submit(read, following)
            yield video, current
