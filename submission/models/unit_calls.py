"""Units of work and how often each comes: what a video takes before anything is counted; no torch.

What grows in a straight line with layers, images, objects, rows or pixels is two units, each so
many times; what grows with the square is three. So a handful of counts, made once for a network,
give the work of any video, exactly.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from submission.models.workload import NOTHING, Work


@dataclass(frozen=True)
class Unit:
    """Something that is counted once on the real network."""

    part: str  # of the model: whatever is counted apart, and remembered apart
    name: str
    numbers: tuple[int, ...] = ()  # layers, images, objects, ...: as the name has them

    def __str__(self) -> str:
        return " ".join([self.name, *map(str, self.numbers)])


@dataclass(frozen=True)
class Calls:
    """How often units come; `3 * calls` repeats them, `calls + others` does both.

    A unit may come less than no times: where a line is made longer than what is counted.
    """

    times: Mapping[Unit, float]

    def __add__(self, other: "Calls") -> "Calls":
        both = dict(self.times)
        for unit, times in other.times.items():
            both[unit] = both.get(unit, 0) + times
        return Calls(both)

    def __rmul__(self, times: float) -> "Calls":
        return Calls({unit: times * one for unit, one in self.times.items()})

    def __iter__(self) -> Iterator[Unit]:
        return iter(self.times)

    def work(self, count: Callable[[Unit], Work]) -> Work:
        """The work of all of them, with the counts of the units."""
        return sum((times * count(unit) for unit, times in self.times.items()), NOTHING)


NO_CALLS = Calls({})
CallsAt = Callable[[int], Calls]


def once(part: str, name: str, *numbers: int) -> Calls:
    """One unit, once."""
    return Calls({Unit(part, name, numbers): 1})


def line(at: CallsAt, first: int, second: int, wanted: float) -> Calls:
    """Calls at `wanted` of something that grows in a straight line through two counts."""
    return _through(at, (first, second), wanted)


def curve(at: CallsAt, counted: tuple[int, int, int], wanted: float) -> Calls:
    """Calls at `wanted` of something that grows with the square, through three counts."""
    return _through(at, counted, wanted)


def from_two(at: CallsAt, wanted: int) -> Calls:
    """A straight line from two on: a batch of one goes another way through some modules."""
    return at(1) if wanted == 1 else line(at, 2, 3, wanted)


def add_up(parts: Iterable[Calls]) -> Calls:
    """All of them."""
    return sum(parts, NO_CALLS)


def in_groups(at: CallsAt, sizes: list[int]) -> Calls:
    """Calls of several groups, each of a size."""
    return add_up(sizes.count(size) * at(size) for size in sorted(set(sizes)))


def units_of(stages: Mapping[str, Calls]) -> set[Unit]:
    """All units that the stages need."""
    return set(chain.from_iterable(stages.values()))


def _through(at: CallsAt, counted: tuple[int, ...], wanted: float) -> Calls:
    """The polynomial through what is counted, in Lagrange's form."""
    if wanted in counted:
        return at(int(wanted))
    calls = NO_CALLS
    for place in counted:
        weight = 1.0
        for other in counted:
            if other != place:
                weight *= (wanted - other) / (place - other)
        calls += weight * at(place)
    return calls
