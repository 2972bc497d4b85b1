"""Which frames of a video the language model sees and which are prompted: integers in and out.

Knows nothing of pixels, files or models, so every rule can be checked by hand.
"""

from typing import Literal

import numpy as np

Sampling = Literal["uniform", "first"]
PromptFrames = Literal["sampled", "first"]


def key_frames(num_frames: int, count: int, sampling: Sampling) -> tuple[int, ...]:
    """Return the frames that the language model sees, as ascending indices without repeats.

    "first" takes the first `count` frames. "uniform" spreads `count` positions from the first
    frame to the last and rounds each down. A video shorter than `count` gives each frame once.
    Raises ValueError when `num_frames` or `count` is below 1 or the name is unknown.
    """
    _require_positive(num_frames, count)
    if sampling == "first":
        return tuple(range(min(count, num_frames)))
    if sampling == "uniform":
        if count >= num_frames:  # positions are at most a frame apart, so none is passed over
            return tuple(range(num_frames))
        positions = np.linspace(0, num_frames - 1, count, dtype=int)
        return tuple(int(index) for index in np.unique(positions))
    raise ValueError(f'sampling is {sampling!r}; it must be "uniform" or "first"')


def prompted_frames(
    num_frames: int, count: int, sampling: Sampling, prompt_frames: PromptFrames
) -> tuple[int, ...]:
    """Return the frames that get the language prompt in SAM 2, ascending, without repeats.

    "sampled" prompts the key frames themselves; "first" prompts the first `count` frames
    whatever the sampling, as the released evaluation does. Raises ValueError as `key_frames`.
    """
    if prompt_frames == "sampled":
        return key_frames(num_frames, count, sampling)
    if prompt_frames == "first":
        return key_frames(num_frames, count, "first")
    raise ValueError(f'prompt_frames is {prompt_frames!r}; it must be "sampled" or "first"')


def _require_positive(num_frames: int, count: int) -> None:
    if num_frames < 1:
        raise ValueError(f"a video has at least one frame, not {num_frames}")
    if count < 1:
        raise ValueError(f"at least one key frame is needed, not {count}")
