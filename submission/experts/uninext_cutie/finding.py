"""Look for every sentence in every frame: a frame is encoded once, a sentence read once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from submission.counted import counted
from submission.errors import InputError
from submission.experts.out_of_memory import with_less
from submission.models.uninext.config import FRAME_SIZE
from submission.terminal.progress import Reporter
from submission.video.session import VideoSession
from submission.video.transforms import Frame, FrameRequest

if TYPE_CHECKING:
    from submission.models.uninext.model import Detection, Sentences, Uninext

SCORE_DIGITS = 4  # of a frame's score in the stored prediction
WIDER = 'set dtype = "float32" in [compute]'


@dataclass(frozen=True)
class Found:
    """What UNINEXT found of one expression: a mask and a score for each frame."""

    bits: NDArray[np.uint8]  # (T, H, ceil(W / 8)), packed
    scores: list[float]


def find(
    session: VideoSession, model: "Uninext", sentences: Sequence[str], video: str,
    reporter: Reporter,
) -> list[Found]:  # fmt: skip
    """Return what UNINEXT finds of each sentence.

    Raises InputError for a score that is no finite number, and where the GPU's memory does not hold
    a frame and one sentence.
    """
    length, height, width = session.shape
    read = model.read(sentences)
    bits = np.zeros((len(sentences), length, height, -(-width // 8)), np.uint8)
    scores: list[list[float]] = [[] for _ in sentences]
    for time in range(length):
        image = session.frames(FrameRequest((time,), FRAME_SIZE))[0]
        found = _detect(model, image, read, (height, width), video, reporter)
        for number, one in enumerate(found):
            if not math.isfinite(one.score):
                raise InputError(f"frame {time}: UNINEXT's score is no finite number; {WIDER}")
            bits[number, time] = np.packbits(one.mask, axis=-1)
            scores[number].append(round(one.score, SCORE_DIGITS))
    return [Found(*one) for one in zip(bits, scores, strict=True)]


def _detect(
    model: "Uninext", image: Frame, read: "Sentences", size: tuple[int, int], video: str,
    reporter: Reporter,
) -> list["Detection"]:  # fmt: skip
    """Find what each sentence means on a frame, fewer together where memory is short."""

    def less() -> str:
        if model.sentences_at_once == 1:
            raise InputError(
                "the GPU's memory does not hold a frame and one sentence; take a smaller "
                "checkpoint of UNINEXT"
            )
        model.sentences_at_once = -(-model.sentences_at_once // 2)
        return f"{counted(model.sentences_at_once, 'sentence')} at once"

    return with_less(
        lambda: model.detect(model.encode_image(image), read, size), less, lambda: None,
        video, reporter,
    )  # fmt: skip
