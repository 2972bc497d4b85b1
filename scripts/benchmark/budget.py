"""Seconds that a run may take, and what a case will take: measured rates, not promises."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

# Where nothing is measured yet: FLOP/s that a first guess takes, low on purpose.
FIRST_GUESS = {"cpu": 2e10, "cuda": 1.5e14}


@dataclass
class Budget:
    """A number of seconds that runs out; without one, it never does."""

    seconds: float | None
    clock: Callable[[], float] = time.monotonic
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    @property
    def left(self) -> float:
        """Seconds left, not below 0."""
        if self.seconds is None:
            return float("inf")
        return max(0.0, self.seconds - (self.clock() - self._started))

    def allows(self, seconds: float) -> bool:
        """Tell whether work of so many seconds ends in time."""
        return seconds <= self.left


@dataclass
class Pace:
    """FLOP per second, learned from the work that was done; one for each kind of work."""

    device: str  # "cpu" or "cuda"
    _flop: dict[str, float] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)

    def learn(self, kind: str, flop: float, seconds: float) -> None:
        """Add work that was measured."""
        self._flop[kind] = self._flop.get(kind, 0.0) + flop
        self._seconds[kind] = self._seconds.get(kind, 0.0) + seconds

    def estimate(self, kind: str, flop: float) -> float:
        """Seconds that work of a kind will take; from all kinds where this one is not known."""
        if kind in self._flop:
            rate = self._flop[kind] / self._seconds[kind]
        elif self._flop:
            rate = sum(self._flop.values()) / sum(self._seconds.values())
        else:
            rate = FIRST_GUESS[self.device]
        return flop / rate
