"""What is asked of a model for one video, and how much work it is: records and sums; no torch."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple, dataclass, fields


@dataclass(frozen=True)
class Clip:
    """A video as the cost of it is seen."""

    frames: int
    sentences: int
    height: int  # pixels
    width: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a frame."""
        return self.height, self.width


@dataclass(frozen=True)
class Limits:
    """How much goes through the network at once: bounds memory, not what is computed."""

    sentences_at_once: int = 64  # packed behind one prefix
    objects_at_once: int = 16  # tracked side by side
    images_at_once: int = 8  # in one pass of SAM 2's image encoder

    @property
    def words(self) -> str:
        """As a recipe would have them."""
        return ", ".join(f"{name} = {value}" for name, value in asdict(self).items())

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


# Features of a video's frames stay on the GPU up to this part of its memory, else in host memory.
GPU_SHARE = 1 / 20
# Batches of frames that SAM 2 encodes beside the language model, where a video's features stay on
# the GPU: on an H200 four batches of eight are a quarter of a second, as long as it is answering.
BATCHES_AHEAD = 4


def stays_on_gpu(features: float, gpu_bytes: float) -> bool:
    """Whether the features of a video, in bytes, stay on a GPU of so much memory."""
    return features <= gpu_bytes * GPU_SHARE


def groups(count: int, at_once: int) -> list[int]:
    """Sizes of the groups in which `count` things go through."""
    whole, rest = divmod(count, at_once)
    return [at_once] * whole + ([rest] if rest else [])


def even_groups(count: int, most: int) -> list[int]:
    """Sizes of as few groups as there must be, of at most `most`, and as even as they can be.

    A few objects take a GPU nearly as long as eight: 18 are followed as 9 and 9, not as 16 and 2.
    """
    number = -(-count // most)
    return [(count + place) // number for place in reversed(range(number))]


@dataclass(frozen=True)
class Work:
    """An amount of work; `3 * work` repeats it, `work + other` does both."""

    flop: float = 0.0  # all of it
    attention: float = 0.0  # of these, in attention kernels
    wide: float = 0.0  # of those, in a batch of wide heads, for which GPUs have a faster kernel
    values: float = 0.0  # numbers read or written, parameters included; not bytes
    calls: float = 0.0  # kernels started

    def __add__(self, other: "Work") -> "Work":
        return Work(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: "Work") -> "Work":
        return self + -1 * other

    def __rmul__(self, times: float) -> "Work":
        return Work(*(times * getattr(self, f.name) for f in fields(self)))


NOTHING = Work()
Stages = dict[str, Work]  # in the order in which they run
IMAGES = "image encoder"  # the stage that experts with equal image encoders share


def total(stages: Mapping[str, Work]) -> Work:
    """All stages together."""
    return sum(stages.values(), NOTHING)


def sum_stages(videos: Iterable[Mapping[str, Work]]) -> Stages:
    """The stages of several videos, each added up."""
    summed: Stages = {}
    for stages in videos:
        for stage, work in stages.items():
            summed[stage] = summed.get(stage, NOTHING) + work
    return summed
