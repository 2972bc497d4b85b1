"""Calls of Cutie for a video: frames seen once, and each candidate's steps both ways; no torch.

A step costs by what it does (a mask is given, memory is read, the frame is memorised) and by how
many frames memory holds; one cycle of `mem_every` steps is counted, and the line that memory adds.
"""

from submission.models.cutie.settings import CutieSettings
from submission.models.unit_calls import NO_CALLS, Calls, curve, once

FEATURES, STEPS = "Cutie image encoder", "Cutie propagation"
SIDES = (96, 128, 160)  # pixels of the square frames that are counted
STRIDE = 16  # pixels of a frame, each way, for a token


def calls_of(
    settings: CutieSettings, frames: int, size: tuple[int, int], candidates: int
) -> dict[str, Calls]:
    """Calls for candidates of one object each, in a video of frames of this size.

    Which frame is the key frame is known later; half-way is taken.
    """
    if not candidates:
        return {}
    tokens, key = settings.tokens(*size), frames // 2
    given = 2 if key else 1  # at the beginning of each direction
    steps = given * _step(0, tokens)
    steps += _direction(settings, frames - 1 - key, tokens) + _direction(settings, key, tokens)
    return {
        FEATURES: frames * _by_tokens("frame", (), tokens),
        STEPS: candidates * steps,
    }


def frames_in_memory(settings: CutieSettings) -> int:
    """The most that memory holds."""
    long = settings.long_term
    return long.max_mem_frames if settings.use_long_term else settings.max_mem_frames


def _direction(settings: CutieSettings, steps: int, tokens: int) -> Calls:
    """Steps of one direction behind a given mask."""
    every, most = settings.mem_every, frames_in_memory(settings)
    one_frame_more = _step(every + 1, tokens) + -1 * _step(1, tokens)
    calls = NO_CALLS
    for place in range(1, every + 1):  # of a step in its cycle
        rounds = range(place, steps + 1, every)
        more = sum(min(most - 1, number) for number in range(len(rounds)))
        calls += len(rounds) * _step(place, tokens) + more * one_frame_more
    return calls


def _step(place: int, tokens: int) -> Calls:
    """A step at this place behind a given mask; 0 is the given mask itself."""
    return _by_tokens("step", (place,), tokens)


def _by_tokens(name: str, numbers: tuple[int, ...], tokens: int) -> Calls:
    """From three small squares: it grows with the square of the tokens of a frame."""
    counted = {(side // STRIDE) ** 2: side for side in SIDES}
    first, second, third = counted
    return curve(
        lambda n: once("cutie", name, *numbers, counted[n]), (first, second, third), tokens
    )
