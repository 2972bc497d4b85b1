"""The two ways of working that are compared: the public code's, and ours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.benchmark.clips import Frames
from scripts.benchmark.plain_loop import answer_one
from submission.models.sa2va.answer import Answer
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.settings import ProcedureName, Settings

ANSWER = "Sure, [SEG] .<|im_end|>"


@dataclass(frozen=True)
class Load:
    """A video and its sentences, and how it is asked."""

    frames: Frames  # uint8 (T, H, W, 3)
    sentences: Sequence[str]
    num_frames: int
    procedure: ProcedureName = "sa2va"

    def part(self, sentences: int, frames: int | None = None) -> "Load":
        """The same with the first sentences, and the first frames, only."""
        return Load(
            self.frames[:frames], self.sentences[:sentences], self.num_frames, self.procedure
        )


def ours(model: Sa2VA, load: Load) -> list[Answer]:
    """All sentences of the video at once."""
    return model.segment(
        load.frames, load.sentences, Settings(procedure=load.procedure, frames=load.num_frames),
        answers=[ANSWER] * len(load.sentences),
    )  # fmt: skip


def public(model: Sa2VA, load: Load) -> list[Answer]:
    """One sentence at a time, nothing shared."""
    return [
        answer_one(model, load.frames, sentence, load.num_frames, load.procedure, ANSWER)
        for sentence in load.sentences
    ]


@dataclass(frozen=True)
class Agreement:
    """How far two sets of masks are the same."""

    lowest_iou: float  # of a whole track, over the sentences
    equal_pixels: float  # share, over all sentences and frames


def agreement(first: Sequence[Answer], second: Sequence[Answer]) -> Agreement:
    """Compare the masks of two procedures, sentence by sentence; two empty tracks are the same."""
    ious: list[float] = []
    equal = pixels = 0
    for one, other in zip(first, second, strict=True):
        shared = joined = 0
        for a, b in _frame_pairs(one, other):
            shared += int(np.count_nonzero(a & b))
            joined += int(np.count_nonzero(a | b))
            equal += int(np.count_nonzero(a == b))
            pixels += a.size
        ious.append(shared / joined if joined else 1.0)
    return Agreement(min(ious), equal / pixels)


def _frame_pairs(one: Answer, other: Answer) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    # Frame by frame: sixteen tracks at 1080p as arrays are gigabytes.
    if one.masks.shape != other.masks.shape:
        raise ValueError(f"masks of {one.masks.shape} against masks of {other.masks.shape}")
    return ((one.masks[time], other.masks[time]) for time in range(len(one.masks)))
