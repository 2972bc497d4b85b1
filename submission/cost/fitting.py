"""Choose how much goes through at once so that a video fits into a GPU's memory."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from submission.models.workload import Limits

Needs = Callable[[Limits], float]  # bytes at the peak
SETTINGS = ("objects_at_once", "images_at_once", "sentences_at_once")


def fit(needs: Sequence[Needs], wanted: Limits, memory: float) -> Limits | None:
    """Return the largest settings, at most `wanted`, with which every need fits into `memory`.

    `needs` give the peak of each video for settings, `memory` is what there is, all in bytes. The
    setting that saves most is halved first. None when one of everything does not fit either.
    """
    chosen = wanted
    while (largest := most(needs, chosen)) > memory:
        smaller = [
            replace(chosen, **{name: getattr(chosen, name) // 2})
            for name in SETTINGS
            if getattr(chosen, name) > 1
        ]
        saving = [least for least in smaller if most(needs, least) < largest]
        if not saving:
            return None
        chosen = min(saving, key=lambda settings: most(needs, settings))
    return chosen


def most(needs: Sequence[Needs], settings: Limits) -> float:
    """Bytes of the largest need with these settings."""
    return max((need(settings) for need in needs), default=0.0)
