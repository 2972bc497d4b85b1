"""What UNINEXT takes on the frames of a video: work and peak memory, known from its sizes."""

from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property

from submission.experts.count_memory import Counter, Counts, stages_of
from submission.models.uninext.config import UninextConfig
from submission.models.uninext.work import alive, calls_of
from submission.models.unit_calls import Calls, once
from submission.models.workload import Stages

COUNTER = "submission.models.uninext.work_units"
CORE = 0.3e9  # bytes of driver and libraries beside tensors; assumed
Size = tuple[int, int]  # height and width of frames as UNINEXT sees them, pixels


class UninextCost:
    """The cost of one UNINEXT; `config` gives its sizes, when asked."""

    def __init__(self, config: Callable[[], UninextConfig]) -> None:
        self._config = config

    def work(self, frames: int, size: Size, sentences: int, at_once: int) -> Stages:
        """Work for a video; raises InputError where the sizes are not known."""
        calls = calls_of(frames, size, sentences, at_once)
        return stages_of(calls, {"uninext": self._counts})

    def weights(self, value_bytes: int) -> float:
        """Bytes of the loaded network: the backbone in the precision of the run, float32 beside."""
        backbone, others = (
            self._number(once("uninext", name)) for name in ("backbone_weights", "other_weights")
        )
        return value_bytes * backbone + 4 * others

    def memory(self, size: Size, sentences: int, value_bytes: int) -> float:
        """Peak in bytes with so many sentences at once; activations as in float32."""
        return self.weights(value_bytes) + self._number(alive(sentences, size)) + CORE

    @cached_property
    def _counts(self) -> Counts:
        config = self._config()
        sizes = ["uninext", type(config.backbone).__name__, asdict(config)]
        return Counts(sizes, self._counter, COUNTER)

    def _counter(self) -> Counter:
        """Lay out the network without values; torch is needed from here on."""
        from submission.models.uninext.work_units import UninextUnits

        return UninextUnits(self._config())

    def _number(self, calls: Calls) -> float:
        return stages_of({"": calls}, {"uninext": self._counts})[""].values
