"""Named approximations: less memory in sight of a tracked frame; nothing is left out by default."""

from collections.abc import Iterable
from dataclasses import dataclass

ALL = 0  # nearest_prompts: every prompted frame is seen


@dataclass(frozen=True)
class Approximation:
    """What a tracked frame does not look at; the default is the model as it was trained."""

    nearest_prompts: int = ALL  # of the prompted frames only so many, the nearest in time
    memory_stride: int = 1  # of the six recent memory maps only every n-th, from the nearest on

    def __post_init__(self) -> None:
        assert self.nearest_prompts >= 0
        assert self.memory_stride >= 1

    def prompts_in_sight(self, prompted: Iterable[int], time: int) -> list[int]:
        """The prompted frames that the frame at `time` sees, in order of time."""
        nearest = sorted(prompted, key=lambda t: (abs(t - time), t))
        return sorted(nearest[: self.nearest_prompts or None])

    def sees_recent(self, distance: int) -> bool:
        """Whether the memory map of the tracked frame `distance` frames ago is seen."""
        return (distance - 1) % self.memory_stride == 0


EXACT = Approximation()
