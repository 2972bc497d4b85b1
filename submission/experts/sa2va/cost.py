"""What a configuration of Sa2VA takes: work, weights, peak memory; from its config.json alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property, partial
from typing import Any

from submission.errors import InputError
from submission.experts.count_memory import Counter, Counts, stages_of
from submission.models.sa2va.config_file import complete
from submission.models.sa2va.memory import peak_memory
from submission.models.sa2va.procedures import Procedure
from submission.models.sa2va.registry import kind_of, parse_sizes
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.sizes import Sizes
from submission.models.sa2va.work import ours, public, weights
from submission.models.unit_calls import Calls
from submission.models.workload import IMAGES, Clip, Limits, Stages, sum_stages

COUNTER, SAM2_COUNTER = "submission.models.sa2va.work_units", "submission.models.sam2.work_units"
Clips = Sequence[tuple[Settings, Clip]]  # of one video: each call of the model, with its sentences


class Cost:
    """The cost of one checkpoint in one procedure; `where` names its config.json in errors."""

    def __init__(
        self, values: Mapping[str, Any], where: object, procedure: Procedure, quantize: str
    ) -> None:
        self.values = values
        self.where = where
        self.procedure = procedure
        self.quantize = quantize

    def ours(self, clips: Clips, limits: Limits) -> Stages:
        """Work of a video; its image features are made by the first of several calls."""
        return _together(
            stages_of(ours(self.sizes, clip, call, limits), self.counts) for call, clip in clips
        )

    def public(self, clips: Clips) -> Stages:
        """The same by the public procedure, which shares nothing."""
        return sum_stages(
            stages_of(public(self.sizes, clip, call), self.counts) for call, clip in clips
        )

    def weights(self, value_bytes: int) -> float:
        """Bytes of the loaded network."""
        wide, narrow = (self._number(calls) for calls in weights(self.sizes, self.quantize))
        return value_bytes * wide + narrow

    def memory(
        self, clips: Clips, weight_bytes: float, limits: Limits, *, gpu_bytes: float,
        value_bytes: int, records_parts: bool = False,
    ) -> float:  # fmt: skip
        """Peak in bytes over the calls of a video.

        Recorded parts have memory of their own, as much as the largest of them takes.
        """
        peaks = [
            peak_memory(
                self.sizes, weight_bytes, clip, call, limits, gpu_bytes=gpu_bytes,
                value_bytes=value_bytes, quantize=self.quantize,
            )
            for call, clip in clips
        ]  # fmt: skip
        return max(peak.total + records_parts * peak.activations for peak in peaks)

    @cached_property
    def sizes(self) -> Sizes:
        """Raises InputError, naming the file, where one is missing or cannot be."""
        try:
            with complete(self.where):
                return parse_sizes(self.values)
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"{self.where}: {error}") from None

    @cached_property
    def counts(self) -> dict[str, Counts]:
        """Counts of each part of the network."""
        kind = kind_of(self.values)
        parts = kind.parts(self.values)
        parts["language"]["quantize"] = self.quantize
        sam2 = [asdict(self.sizes.grounding), asdict(self.procedure.policy)]
        counts = {
            name: Counts([name, sizes], partial(self._counter, name), COUNTER, *kind.code)
            for name, sizes in parts.items()
        }
        return counts | {
            "sam2": Counts(["sam2", sam2], partial(self._counter, "sam2"), SAM2_COUNTER)
        }

    def _counter(self, part: str) -> Counter:
        """Lay out a part of the network without values; torch is needed from here on."""
        from submission.models.sa2va.work_units import LanguageUnits, VisionUnits
        from submission.models.sam2.work_units import Sam2Units

        if part == "vision":
            return VisionUnits(self.values)
        if part == "language":
            return LanguageUnits(self.values, self.quantize)
        policy = self.procedure.policy
        return Sam2Units(self.sizes.grounding, policy, tuned=policy.needs_original_decoder)

    def _number(self, calls: Calls) -> float:
        return stages_of({"": calls}, self.counts)[""].values


def _together(calls: Iterable[Stages]) -> Stages:
    first, *others = calls
    others = [{name: one for name, one in stages.items() if name != IMAGES} for stages in others]
    return sum_stages([first, *others])
