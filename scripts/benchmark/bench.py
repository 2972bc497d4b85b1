"""Measure cases with the models of this machine, one at a time, and say what they cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from scripts.benchmark.cases import Case
from scripts.benchmark.cost import cost_of, limit_of, peak_of
from scripts.benchmark.measure import Method, measure
from scripts.benchmark.random_model import make_model
from scripts.benchmark.resources import available_bytes, describe_machine, revision
from scripts.benchmark.tables import Row, size_of
from submission.compute import Compute
from submission.device import settle_device, settle_dtype
from submission.models.sa2va.model import Sa2VA
from submission.models.sam2.fixed_parts import fixed_parts

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass
class Outcome:
    """What became of the cases."""

    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # in words, with the reason


class ModelBench:
    """Times cases on a device; holds the model of the last case."""

    def __init__(self, device: str, dtype: str, method: Method) -> None:
        place = settle_device(device)
        self.device = torch.device(place)
        self.precision = settle_dtype(dtype, place)
        self.dtype = DTYPES[self.precision]
        self.method = method
        self.limits = Compute().limits_on(self.device.type)
        self.machine = describe_machine(self.device, self.dtype)
        self.revision = revision()
        self._name = ""
        self._model: Sa2VA | None = None

    def work_through(self, cases: Sequence[Case], say: Callable[[str], None]) -> Outcome:
        """Measure the cases in order; those that do not fit into memory are left out."""
        outcome = Outcome()
        for number, case in enumerate(cases, 1):
            if reason := self.shortage(case):
                outcome.skipped.append(f"{case}: {reason}")
                say(f"{number}/{len(cases)} {case}: skipped, {reason}")
                continue
            say(f"{number}/{len(cases)} {case}")
            head = {"case": case.values(), "machine": self.machine, "revision": self.revision}
            outcome.rows.append({**head, **self.measure(case)})
        return outcome

    def shortage(self, case: Case) -> str:
        """Compare the peak that the cost model expects with the memory that is free."""
        on_gpu = self.device.type == "cuda"
        capacity = torch.cuda.get_device_properties(self.device).total_memory if on_gpu else 0.0
        value_bytes = self.dtype.itemsize
        needed = peak_of(case, self.limits, gpu_bytes=capacity, value_bytes=value_bytes)
        needed += 0 if on_gpu else _host_bytes(case)
        # What an earlier case left is let go before this one, or is what it needs.
        if on_gpu:
            held: float = torch.cuda.memory_reserved(self.device)
        else:
            held = cost_of(case.size).weights(value_bytes) if self._name == case.size else 0
        free = available_bytes(self.device) + held
        if needed <= free:
            return ""
        return f"it needs about {size_of(needed)}, and {size_of(free)} are free"

    def measure(self, case: Case) -> dict[str, Any]:
        """Time the case; with the limit that the hardware sets, where its data sheet is known.

        Raises InputError when the device has not the kernel that the case names.
        """
        model = self.model_of(case.size)
        model.network.grounding.attention = case.attention
        on_gpu = self.device.type == "cuda"
        model.parts = fixed_parts(case.compile, self.device)
        found = measure(model, case, self.method)
        found["limit"] = limit_of(case, self.machine["device"], self.limits, self.precision)
        capacity = torch.cuda.get_device_properties(self.device).total_memory if on_gpu else 0.0
        found["estimated_peak"] = peak_of(
            case, self.limits, gpu_bytes=capacity, value_bytes=self.dtype.itemsize
        )
        return {**found, "memory_attention": model.attention, "compile": model.parts.words}

    def model_of(self, size: str) -> Sa2VA:
        """Return the model of a size; the one before it is let go first."""
        if self._model is None or self._name != size:
            self._model = None
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            self._model, self._name = make_model(size, self.device, self.dtype), size
            self._model.limits = self.limits
        return self._model


def _host_bytes(case: Case) -> float:
    """The clip, its squares for SAM 2, and the masks of both procedures, packed."""
    pixels = case.height * case.width
    return case.frames * 3 * (pixels + 1024**2) + 2 * case.masks * pixels / 8
