"""How much of a video goes through a Sa2VA at once, and how it is halved when memory runs out."""

from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Limits:
    """How much goes through the network at once: bounds memory, not what is computed."""

    sentences_at_once: int = 64  # packed behind one prefix
    objects_at_once: int = 16  # tracked side by side
    images_at_once: int = 1  # in one pass of SAM 2's image encoder

    def halved_for(self, sentences: int, objects: int, frames: int) -> "Limits | None":
        """Return half of everything, for a GPU that ran out of memory over such a video.

        Halves again while that changes nothing for the video; None where nothing is left to halve.
        """
        smaller, there = astuple(self), (sentences, objects, frames)
        used = _used(smaller, there)
        while _used(smaller, there) == used:
            if max(used) <= 1:
                return None
            smaller = tuple(max(1, value // 2) for value in smaller)
        return Limits(*smaller)


def _used(limits: tuple[int, ...], there: tuple[int, ...]) -> list[int]:
    return [min(pair) for pair in zip(limits, there, strict=True)]
