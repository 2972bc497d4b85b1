"""What is timed: one case, or a grid of them in an order in which the first are worth most."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from scripts.benchmark.sizes import NAMES
from submission.errors import Fault, FaultyInput

AXES = {"size": "size", "M": "key_frames", "E": "sentences", "T": "frames"}
FULL = {
    "size": ("Sa2VA-1B", "Sa2VA-4B", "Sa2VA-8B", "Sa2VA-26B"),
    "M": (5, 12, 20),
    "E": (1, 4, 16),
    "T": (40, 80, 200),
}
TYPICAL = {"M": 5, "E": 16, "T": 80}  # the middle of MeViS valid: the first to be known


@dataclass(frozen=True)
class Case:
    """One row: a model, a clip and how it is asked."""

    size: str  # a name of sizes.py, or a checkpoint folder
    frames: int  # T
    key_frames: int  # M
    sentences: int  # E
    height: int = 240  # pixels
    width: int = 320  # pixels
    procedure: str = "sa2va"
    clip: str = ""  # folder of the frames; empty for a made-up clip
    attention: str = "auto"  # the kernel of our memory attention on a GPU
    compile: str = "off"  # "parts": ours replays parts of fixed shape

    @property
    def masks(self) -> int:
        """Masks that the case asks for."""
        return self.frames * self.sentences

    def values(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        kernel = "" if self.attention == "auto" else f" {self.attention}"
        kernel += "" if self.compile == "off" else f" compile={self.compile}"
        return (
            f"{self.size} {self.procedure} M={self.key_frames} E={self.sentences} "
            f"T={self.frames} {self.height}x{self.width}{kernel}"
        )


def parse_grid(words: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Read `size=Sa2VA-1B,Sa2VA-8B M=5,20 E=16 T=80`; an axis that is not named has all values.

    Raises FaultyInput with everything that is wrong.
    """
    grid: dict[str, tuple[Any, ...]] = dict(FULL)
    faults: list[Fault] = []
    for word in words:
        axis, equals, text = word.partition("=")
        values = [part for part in text.split(",") if part]
        if axis not in AXES or not equals or not values:
            faults.append(Fault(word, f"an axis is {', '.join(AXES)}, as in M=5,20"))
        elif axis == "size":
            wrong = [name for name in values if name not in NAMES]
            faults += [Fault(word, f"{name} is no size; known: {', '.join(NAMES)}")
                       for name in wrong]  # fmt: skip
            grid[axis] = tuple(values)
        elif not all(part.isdecimal() and int(part) > 0 for part in values):
            faults.append(Fault(word, "it needs whole numbers above 0"))
        else:
            grid[axis] = tuple(int(part) for part in values)
    if faults:
        raise FaultyInput("--grid has faults:", faults)
    return grid


def cases_of(grid: dict[str, tuple[Any, ...]], like: Case) -> list[Case]:
    """All cases of a grid, size by size, near the typical case first.

    The order lets a run that is cut off leave the rows that are worth most, and loads every model
    once.
    """
    cases = []
    for size in grid["size"]:
        own = [
            replace(like, size=size, key_frames=m, sentences=e, frames=t)
            for m, e, t in product(grid["M"], grid["E"], grid["T"])
        ]
        cases += sorted(own, key=_distance)
    return cases


def _distance(case: Case) -> float:
    """How many times larger or smaller than the typical case, over all axes."""
    return sum(
        max(value / typical, typical / value)
        for value, typical in (
            (case.key_frames, TYPICAL["M"]),
            (case.sentences, TYPICAL["E"]),
            (case.frames, TYPICAL["T"]),
        )
    )
