"""What is asked of a model for one video, as far as it decides work and memory; no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Clip:
    """A video as the cost of it is seen."""

    frames: int
    sentences: int
    height: int  # pixels
    width: int


@dataclass(frozen=True)
class AtOnce:
    """How much goes through the network at once."""

    objects: int = 16
    sentences: int = 64
    images: int = 8


def groups(count: int, at_once: int) -> list[int]:
    """Sizes of the groups in which `count` things go through."""
    whole, rest = divmod(count, at_once)
    return [at_once] * whole + ([rest] if rest else [])
