"""The two ways of working that are compared: the public code's, and ours.

Both run on the same network, kernels and precision, so that what differs is the procedure alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from submission.model import Answer, Sa2VA
from submission.model.frame_features import FrameFeatures

Frames = NDArray[np.uint8]
ANSWER = "Sure, [SEG] .<|im_end|>"


@dataclass(frozen=True)
class Load:
    """A video and its sentences, and how it is asked."""

    frames: Frames
    sentences: Sequence[str]
    num_frames: int
    procedure: str = "sa2va"


def ours(model: Sa2VA, load: Load) -> list[Answer]:
    """All sentences of the video at once."""
    return model.segment(
        load.frames, load.sentences, procedure=load.procedure, num_frames=load.num_frames,
        answers=[ANSWER] * len(load.sentences),
    )  # fmt: skip


def public(model: Sa2VA, load: Load) -> list[Answer]:
    """One sentence at a time, nothing shared; key frames pass the image encoder twice.

    The public predictor keeps the features of the last frame only: it encodes every key frame once
    for the prompt and once more for the memory, and then all other frames.
    """
    answers = []
    for sentence in load.sentences:
        alone = Load(load.frames, [sentence], load.num_frames, load.procedure)
        with _key_frames_encoded_twice():
            answers += ours(model, alone)
    return answers


@contextmanager
def _key_frames_encoded_twice() -> Iterator[None]:
    """While open, the frames that are asked for first (key frames) are encoded once more."""
    each = FrameFeatures.each
    waiting = [True]

    def encode_again(features: FrameFeatures, times: Sequence[int]) -> Any:
        if waiting:
            waiting.clear()
            for _ in each(features, times):
                pass
        return each(features, times)

    with patch.object(FrameFeatures, "each", encode_again):
        yield


def agreement(first: Sequence[Answer], second: Sequence[Answer]) -> tuple[float, float]:
    """Lowest IoU over sentences, and share of equal pixels, of two sets of answers."""
    ious, equal = [], []
    for one, other in zip(first, second, strict=True):
        a, b = np.asarray(one.masks), np.asarray(other.masks)
        union = np.count_nonzero(a | b)
        ious.append(np.count_nonzero(a & b) / union if union else 1.0)
        equal.append(float(np.mean(a == b)))
    return min(ious), float(np.mean(equal))


def synthetic_clip(num_frames: int, height: int, width: int, seed: int = 0) -> Frames:
    """A clip of noise blobs that drift: content does not matter for speed, variety for masks."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 32 + 2, width // 32 + 2 + num_frames, 3), np.uint8)
    full = np.repeat(np.repeat(coarse, 32, axis=0), 32, axis=1)
    return np.stack([full[:height, 8 * t : 8 * t + width] for t in range(num_frames)])


def sentences(count: int) -> list[str]:
    """Sentences of the length that MeViS has."""
    return [f"the thing number {n} that moves from left to right and stops" for n in range(count)]
