"""Which memory a tracked frame looks at, for the tracker and for its cost: times in, times out."""

from collections.abc import Iterable
from dataclasses import dataclass

from submission.models.sam2.approximation import Approximation
from submission.models.sam2.sizes import MAX_POINTERS, MAX_RECENT_MAPS


@dataclass(frozen=True)
class Sight:
    """The frames whose maps and pointers a tracked frame attends to, in this order."""

    prompted_maps: tuple[int, ...]
    recent_maps: tuple[int, ...]
    prompted_pointers: tuple[int, ...]
    recent_pointers: tuple[int, ...]

    @property
    def maps(self) -> int:
        """Memory maps, for each object."""
        return len(self.prompted_maps) + len(self.recent_maps)

    @property
    def pointers(self) -> int:
        """Object pointers, for each object."""
        return len(self.prompted_pointers) + len(self.recent_pointers)


def look_back(
    time: int, prompted: Iterable[int], tracked: Iterable[int], approximation: Approximation
) -> Sight:
    """Return what the frame at `time` sees of the frames that were prompted and tracked so far.

    All prompted maps whatever their time, the maps of those of the six frames before it that were
    tracked, the pointers of prompted frames up to now and of up to fifteen tracked frames before
    it; less with an approximation.
    """
    shown = tuple(approximation.prompts_in_sight(prompted, time))
    near = [other for other in tracked if 0 < time - other < MAX_POINTERS]
    return Sight(
        prompted_maps=shown,
        recent_maps=tuple(
            other for other in near
            if time - other <= MAX_RECENT_MAPS and approximation.sees_recent(time - other)
        ),
        prompted_pointers=tuple(other for other in shown if other <= time),
        recent_pointers=tuple(near),
    )  # fmt: skip
