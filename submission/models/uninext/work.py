"""Calls of UNINEXT for a video: a sentence read once, a frame encoded once, both met; no torch."""

from submission.models.unit_calls import Calls, from_two, in_groups, line, once
from submission.models.workload import groups

TEXT, FEATURES, MEET = "UNINEXT sentences", "UNINEXT image encoder", "UNINEXT detection"
TOKENS = 12  # of a sentence, with its two ends: seven or eight words
Size = tuple[int, int]  # height and width of frames as UNINEXT sees them, pixels


def calls_of(frames: int, size: Size, sentences: int, at_once: int) -> dict[str, Calls]:
    """Calls for a video, `at_once` sentences looking at a frame together."""
    if not sentences:
        return {}
    together = groups(sentences, at_once)
    return {
        TEXT: from_two(lambda n: once("uninext", "read", n), sentences),
        FEATURES: frames * once("uninext", "look", *size),
        MEET: frames * in_groups(lambda n: detect(n, size), together),
    }


def detect(sentences: int, size: Size) -> Calls:
    """So many sentences on one frame, up to the masks of their winners."""
    return from_two(lambda n: once("uninext", "detect", n, *size), sentences)


def alive(sentences: int, size: Size) -> Calls:
    """Bytes at the peak of that, as values."""
    return line(lambda n: once("uninext", "alive", n, *size), 1, 2, sentences)
