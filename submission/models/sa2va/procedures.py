"""The ways from a video to masks, as values: what is asked and shown, prompted and tracked.

Integers and words only; no torch. Whoever adds a way adds a value here and a name in settings.py;
nobody else tells one from another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from submission.models.sa2va.settings import Settings
from submission.models.sam2.policy import TrackerPolicy
from submission.video.sampling import key_frames, prompted_frames

TRACK = None  # in place of the number of an embedding


@dataclass(frozen=True)
class Step:
    """One look of SAM 2 at a frame, for every object alike."""

    frame: int
    prompt: int | None = TRACK  # which of an object's embeddings prompts it; TRACK: memory does
    times: int = 1  # how often the step counts in the mean of the frame's logits


class Procedure(Protocol):
    """One way from a video to masks."""

    @property
    def policy(self) -> TrackerPolicy:
        """How SAM 2's decoders are used."""

    def question(self, sentence: str) -> str:
        """Return the user's words after the images."""

    def images(self, length: int, settings: Settings) -> tuple[tuple[int, ...], ...]:
        """Return the frames of each image that the language model sees, for a video of `length`."""

    def objects(self, found: int, settings: Settings) -> tuple[tuple[int, ...], ...]:
        """Return which of the `found` [SEG] of an answer prompt each object.

        All objects of a procedure have equally many; masks of several objects are joined.
        """

    def steps(self, length: int, settings: Settings) -> tuple[Step, ...]:
        """Return what SAM 2 does in a video of `length` frames: prompts first, then tracking.

        A frame with several steps gets the mean of their logits, one without a step an empty mask.
        """


@dataclass(frozen=True)
class KeyFrames:
    """Sa2VA's way: some frames are shown, some are prompted, all others are tracked."""

    policy: TrackerPolicy
    asks: str = "\nPlease segment {}."
    asks_question: str = "\nPlease segment {}."  # for a sentence with "?"

    def question(self, sentence: str) -> str:
        return (self.asks_question if "?" in sentence else self.asks).format(sentence)

    def images(self, length: int, settings: Settings) -> tuple[tuple[int, ...], ...]:
        shown = key_frames(length, settings.frames, settings.sampling)
        return tuple((time,) for time in shown)

    def objects(self, found: int, settings: Settings) -> tuple[tuple[int, ...], ...]:
        taken = {"first": min(found, 1), "union": found}
        return tuple((seg,) for seg in range(taken[settings.seg]))

    def steps(self, length: int, settings: Settings) -> tuple[Step, ...]:
        prompted = prompted_frames(
            length, settings.frames, settings.sampling, settings.prompt_frames
        )
        tracked = sorted(set(range(length)) - set(prompted))
        return (*(Step(time, prompt=0) for time in prompted), *map(Step, tracked))


PROCEDURES: Mapping[str, Procedure] = {
    # The evaluator of Sa2VA words a question differently; the space after the line break is its
    # own. That of Sa2VA-i never does.
    "sa2va": KeyFrames(
        TrackerPolicy(), asks_question="\n {} Please respond with a segmentation mask."
    ),
    "sa2va-i": KeyFrames(
        TrackerPolicy(harden_prompts=True, gate_tracked=True, tracking_decoder="original")
    ),
}
