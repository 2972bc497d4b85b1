"""A split, its truth and its answers as plain arrays: what the scoring tests share."""

from pathlib import Path

import numpy as np
import pytest

from submission.dataset.records import Expression, Split, Video
from submission.dataset.rle import encode
from submission.score.mask_window import Shape
from submission.score.scoring import MISSING, MISSING_SENTENCE

SIZE = (8, 10)


class Arrays:
    """A result made of arrays: bool (T, H, W) by sentence, or a list with None for no frame."""

    def __init__(self, answers, name="ours"):
        self.answers = answers
        self.name = name

    def answer(self, video, expression):
        frames = self.answers.get((video.name, expression.id))
        return MISSING_SENTENCE if frames is None else Frames(frames)


class Frames:
    def __init__(self, frames):
        self.frames = frames

    def shape(self, index):
        frame = self.frames[index]
        return MISSING if frame is None else Shape.of_mask(frame)


class Truth:
    """The left half is meant by annotation 1, the rest by 2, wherever anything is meant."""

    def objects(self, video, expression):
        left = np.zeros(video.size, bool)
        left[:, :5] = True
        objects = {1: left, 2: ~left}
        frames = len(video.frame_names)
        return [(encode(objects[key]),) * frames for key in expression.annotation_ids]


@pytest.fixture
def split():
    """Two videos: one with two target sentences, one with a no-target sentence."""
    walks = Video(
        "walks",
        ("00000", "00001", "00002", "00003"),
        SIZE,
        (
            Expression("walks", "0", "the one moving right", (1,), (1,)),
            Expression("walks", "1", "the one moving left", (2,), (2,)),
        ),
    )
    rests = Video("rests", ("00000",), SIZE, (Expression("rests", "0", "the flying one", (), ()),))
    return Split(Path("root"), "valid_u", Path("meta_expressions.json"), (walks, rests))


@pytest.fixture
def truth():
    return Truth()


@pytest.fixture
def perfect(split):
    """The right answers, which a test may spoil."""
    answers = {}
    for video in split.videos:
        for expression in video.expressions:
            masks = np.zeros((len(video.frame_names), *video.size), bool)
            if expression.annotation_ids:
                masks[:, :, :5] = expression.annotation_ids == (1,)
                masks[:, :, 5:] = expression.annotation_ids == (2,)
            answers[video.name, expression.id] = masks
    return answers
