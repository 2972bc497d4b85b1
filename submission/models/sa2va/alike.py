"""Which calls are answered alike, and which find alike: what one has made, the others take."""

from collections.abc import Hashable, Sequence

from submission.models.sa2va.procedures import CLIPS, PROCEDURES
from submission.models.sa2va.settings import Settings


def asked_alike(length: int, sentences: Sequence[str], settings: Settings) -> Hashable:
    """Return all that decides what one language model answers in a video of `length` frames."""
    way = PROCEDURES[settings.procedure]
    questions = tuple(map(way.question, sentences))
    return (
        way.images(length, settings), questions, settings.max_new_tokens, settings.ask,
        settings.min_pixels, settings.max_pixels, settings.system_turn,
    )  # fmt: skip


def grounded_alike(length: int, settings: Settings) -> Hashable:
    """Return all that decides the masks which one SAM 2 finds for given answers."""
    way = PROCEDURES[settings.procedure]
    objects = tuple(way.objects(found, settings) for found in range(CLIPS + 2))
    return (
        way.policy, way.steps(length, settings), objects, settings.approximation,
        settings.hidden_state,
    )  # fmt: skip
