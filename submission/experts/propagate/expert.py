"""Cutie or SAM 2 after any other expert's key frame: its surest mask goes through the video."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from submission.code_digest import prediction_code
from submission.compute import Count
from submission.dataset.records import Expression, Split, Video
from submission.errors import Fault, FaultyInput, InputError
from submission.experts.expert import Expert, Predictions, Resources, Tools
from submission.experts.propagate.by_cutie import BASE, Propagator
from submission.experts.propagate.by_sam2 import RELEASED, Sam2Propagator
from submission.experts.propagate.carried import KeyFrame, Propagated
from submission.masks.store import CONFIDENCE_DIGITS, Prediction
from submission.masks.track import Track
from submission.masks.voting import MOST_MEMBERS, vote_tracks
from submission.models.cutie.settings import STRIDE, CutieSettings
from submission.models.workload import Limits, Stages
from submission.video.session import VideoSession
from submission.video.transforms import FrameRequest

Choose = Literal["confidence", "area"]
TRACKERS = {"cutie": "Cutie", "sam2": "SAM 2"}
NOT_OF_CUTIE = ("after", "tracker", "sam2", "choose", "key_frames")  # keys


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The keys of its [[expert]], beside name, kind and weight.

    Raises FaultyInput for keys that the tracker does not read.
    """

    after: Annotated[str, Field(min_length=1)]  # the expert of the recipe whose masks are taken
    tracker: Literal["cutie", "sam2"] = "cutie"
    sam2: Annotated[str, Field(min_length=1)] = RELEASED  # a file or folder, or a name in the lock
    cutie: Annotated[str, Field(min_length=1)] = BASE  # a file or folder, or a name in weights.lock
    choose: Choose = "confidence"  # what makes a frame a key frame
    key_frames: Annotated[int, Field(ge=1, le=MOST_MEMBERS)] = 1  # voted on, when several
    short_side: Annotated[int, Field(ge=STRIDE)] = 480  # pixels that frames are shrunk to
    mem_every: Count = CutieSettings.mem_every
    max_mem_frames: Count = CutieSettings.max_mem_frames
    top_k: Count = CutieSettings.top_k
    long_term: bool = CutieSettings.use_long_term
    flip: bool = CutieSettings.flip

    def __post_init__(self) -> None:
        own = [item for item in fields(self) if (item.name not in NOT_OF_CUTIE)]
        if self.tracker == "cutie":
            own = [item for item in fields(self) if item.name == "sam2"]
        faults = [
            Fault(item.name, f'it has no effect with tracker = "{self.tracker}"')
            for item in own
            if getattr(self, item.name) != item.default
        ]
        if faults:
            raise FaultyInput("These settings have faults:", faults)


def build(name: str, settings: Settings, tools: Tools) -> Expert:
    """Build one; raises InputError when the expert it comes after is not in the recipe."""
    others = [entry.name for entry in tools.entries if entry.name != name]
    if settings.after not in others:
        raise InputError(
            f"expert {name}: after = {settings.after!r} is no other expert of the recipe; there "
            f"are: {', '.join(others) or 'none'}"
        )
    return Propagate(name, settings, tools)


@dataclass(frozen=True)
class Choice:
    """The key frames of an expression, the best first; none where no frame has a mask."""

    keys: tuple[KeyFrame, ...]
    by: Choose


class Propagate(Expert):
    """Propagates what another expert is surest of; that expert is not run again."""

    def __init__(self, name: str, settings: Settings, tools: Tools) -> None:
        self.name = name
        self.settings = settings
        self.tools = tools
        self._told = False
        self.propagator = _propagator(settings, tools)

    # --- what it does ----------------------------------------------------------------------------
    def identity(self) -> dict[str, Any]:
        """What decides the propagation, and who answered before."""
        settings = self.settings
        return {
            "choose": settings.choose,
            "key_frames": settings.key_frames,
            **self.propagator.identity(),
            "model_code": prediction_code(__name__),
            "after": self.tools.store.identity(settings.after),
        }

    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        return self.propagator.frames(video)

    def predict(self, video: Video, session: VideoSession) -> Predictions:
        """Propagate the key frames of all expressions at once; one without masks stays empty.

        An expression that the other expert has not answered is left out.
        """
        store, after = self.tools.store, self.settings.after
        asked = [one for one in video.expressions if store.has(after, video, one)]
        choices = [self._choose(store.read(after, video, one)) for one in asked]
        keys = [key for choice in choices for key in choice.keys]
        results = self.propagator.propagate(video, session, keys)
        return self._answers(video, asked, choices, results)

    def faults(self, split: Split) -> Sequence[Fault]:
        return self.propagator.faults()

    def after(self) -> tuple[str, ...]:
        return (self.settings.after,)

    def _choose(self, prediction: Prediction) -> Choice:
        choice = choose_key_frames(prediction, self.settings.key_frames, self.settings.choose)
        if choice.by != self.settings.choose and not self._told:
            self._told = True
            self.tools.reporter.warn(
                f"expert {self.name}: {self.settings.after} stores no confidence, so the key frame "
                "is the one with the largest mask"
            )
        return choice

    def _answers(
        self, video: Video, asked: Sequence[Expression], choices: Sequence[Choice],
        results: Sequence[Propagated],
    ) -> Predictions:  # fmt: skip
        left = iter(results)
        for expression, choice in zip(asked, choices, strict=True):
            own = [next(left) for _ in choice.keys]
            details: dict[str, Any] = {
                "key_frames": [key.time for key in choice.keys],
                "chosen_by": choice.by,
            }
            if own:
                track = vote_tracks([one.track() for one in own], "majority")
                details["confidence"] = list(_mean([one.confidence for one in own]))
            else:
                track = Track.empty(video.size, len(video.frame_names))
                details["why_empty"] = f"{self.settings.after} has no mask in any frame"
            yield expression, Prediction(expression.sentence, track, details)

    # --- what is said of it ----------------------------------------------------------------------
    def summary(self, videos: Sequence[Video]) -> str:
        count = self.settings.key_frames
        frames = f"{count} key frames" if count > 1 else "key frame"
        return f"{TRACKERS[self.settings.tracker]} after the {frames} of {self.settings.after}"

    def checkpoints(self) -> tuple[str, ...]:
        return (self.propagator.checkpoint,)

    def resources(self) -> Resources:
        return self.propagator.resources()

    def work(self, video: Video, limits: Limits) -> Stages:
        return self.propagator.work(video, self._candidates(video))

    def memory(self, video: Video, limits: Limits, gpu_bytes: float) -> float:
        return self.propagator.memory(video, self._candidates(video), limits, gpu_bytes)

    def _candidates(self, video: Video) -> int:
        """At most: as many as there are where each expression has its masks."""
        return len(video.expressions) * self.settings.key_frames


def _propagator(settings: Settings, tools: Tools) -> Propagator:
    if settings.tracker == "sam2":
        return Sam2Propagator(tools, settings.sam2)
    return Propagator(
        tools, settings.cutie, settings.short_side,
        CutieSettings(
            mem_every=settings.mem_every, max_mem_frames=settings.max_mem_frames,
            top_k=settings.top_k, use_long_term=settings.long_term, flip=settings.flip,
        ),
    )  # fmt: skip


def choose_key_frames(prediction: Prediction, count: int, by: Choose) -> Choice:
    """Return the `count` best frames that have a mask, by confidence or by the mask's area.

    Where none of them has a confidence, area decides. Of equal frames the earlier one is better.
    """
    track = prediction.track
    confidence = prediction.details.get("confidence") if by == "confidence" else None
    keys: list[KeyFrame] = []
    for time in _best_first(confidence or ()):
        if len(keys) < count and (mask := track.frame(time)).any():
            keys.append(KeyFrame(time, mask))
    if keys or (confidence is not None and track.is_empty):
        return Choice(tuple(keys), "confidence")
    areas = [int(np.count_nonzero(mask)) for mask in track]
    ranked = [time for time in _best_first(areas) if areas[time]]
    return Choice(tuple(KeyFrame(t, track.frame(t)) for t in ranked[:count]), "area")


def _best_first(scores: Sequence[float | None]) -> list[int]:
    known = [time for time, score in enumerate(scores) if score is not None]
    return sorted(known, key=lambda time: (-(scores[time] or 0), time))


def _mean(candidates: Sequence[Sequence[float | None]]) -> Iterator[float | None]:
    """The mean confidence of each frame, over the candidates that have a mask there."""
    for frame in zip(*candidates, strict=True):
        known = [one for one in frame if one is not None]
        yield round(sum(known) / len(known), CONFIDENCE_DIGITS) if known else None
