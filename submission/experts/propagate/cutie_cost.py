"""What propagation by Cutie takes: work and peak memory, known from the size of the network."""

from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property

from submission.experts.count_memory import Counter, Counts, stages_of
from submission.models.cutie.settings import STRIDE, CutieSettings
from submission.models.cutie.work import calls_of
from submission.models.unit_calls import once
from submission.models.workload import Stages

COUNTER = "submission.models.cutie.work_units"
RELEASED = {"cutie-base-mega": "base", "cutie-small-mega": "small"}  # by names in weights.lock
CORE = 0.3e9  # bytes of driver and libraries beside tensors; assumed
Size = tuple[int, int]  # height and width of frames as Cutie sees them, pixels


class CutieCost:
    """The cost of one Cutie in one way of using it; `network` tells base from small, when asked."""

    def __init__(self, network: Callable[[], str], settings: CutieSettings) -> None:
        self._network = network
        self._settings = settings

    def work(self, frames: int, size: Size, candidates: int) -> Stages:
        """Work for candidates in a video; raises InputError where the network is not known."""
        calls = calls_of(self._settings, frames, size, candidates)
        return stages_of(calls, {"cutie": self._counts})

    def weights(self) -> float:
        """Bytes of the loaded network, float32 whatever the precision."""
        return self._number("weights")

    def memory(self, frames: int, size: Size, candidates: int, features: float) -> float:
        """Peak in bytes, with at most `features` bytes of what is seen of frames.

        Counted in float32, which in bfloat16 is more than is there.
        """
        padded = [-(-side // STRIDE) * STRIDE for side in size]
        seen = min(features, frames * self._number("seen", *padded))
        kept = candidates * self._number("kept", *padded)
        return self.weights() + seen + kept + self._number("alive", *padded) + CORE

    @cached_property
    def _counts(self) -> Counts:
        sizes = ["cutie", self._network(), asdict(self._settings)]
        return Counts(sizes, self._counter, COUNTER)

    def _counter(self) -> Counter:
        """Lay out the network without values; torch is needed from here on."""
        from submission.models.cutie.work_units import CutieUnits

        return CutieUnits(self._network(), self._settings)  # type: ignore[arg-type]

    def _number(self, name: str, *numbers: int) -> float:
        calls = {"": once("cutie", name, *numbers)}
        return stages_of(calls, {"cutie": self._counts})[""].values
