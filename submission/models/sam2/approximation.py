"""Named approximations: less memory in sight of a tracked frame; nothing is left out by default."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from submission.errors import Fault, FaultyInput
from submission.models.sam2.sizes import MAX_RECENT_MAPS

ALL = 0  # nearest_prompts: every prompted frame is seen


@dataclass(frozen=True)
class Approximation:
    """What a tracked frame does not look at; the default is the model as it was trained.

    Raises FaultyInput for numbers that mean nothing.
    """

    nearest_prompts: int = ALL  # of the prompted frames only so many, the nearest in time
    memory_stride: int = 1  # of the six recent memory maps only every n-th, from the nearest on

    def __post_init__(self) -> None:
        if faults := list(self._faults()):
            raise FaultyInput("This approximation has faults:", faults)

    def _faults(self) -> Iterator[Fault]:
        if self.nearest_prompts < ALL:
            yield Fault("nearest_prompts", f"it is {self.nearest_prompts}; it must be at least 0")
        if not 1 <= self.memory_stride <= MAX_RECENT_MAPS:
            yield Fault("memory_stride", f"it is {self.memory_stride}; it must be from 1 to "
                        f"{MAX_RECENT_MAPS}, the number of recent memory maps")  # fmt: skip

    def prompts_in_sight(self, prompted: Iterable[int], time: int) -> list[int]:
        """The prompted frames that the frame at `time` sees, in order of time."""
        nearest = sorted(prompted, key=lambda t: (abs(t - time), t))
        return sorted(nearest[: self.nearest_prompts or None])

    def sees_recent(self, distance: int) -> bool:
        """Whether the memory map of the tracked frame `distance` frames ago is seen."""
        return (distance - 1) % self.memory_stride == 0


EXACT = Approximation()
