"""The real bench: models of this machine, one at a time, and what they cost."""

from typing import Any

import torch

from scripts.benchmark.cases import Case
from scripts.benchmark.measure import Method, measure
from scripts.benchmark.random_model import make_model
from scripts.benchmark.resources import available_bytes, describe_machine, revision
from scripts.benchmark.sizes import config_values
from scripts.benchmark.tables import size_of
from submission.compute import IMAGES_AT_ONCE
from submission.cost.estimate import video_limit
from submission.cost.memory import peak_memory
from submission.cost.sizes import Sizes, parse_sizes
from submission.cost.video import Asking, AtOnce, Clip
from submission.device import settle_device, settle_dtype
from submission.models.sa2va.model import Limits, Sa2VA

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class ModelBench:
    """Times cases on a device; holds the model of the last case."""

    def __init__(self, device: str, dtype: str, method: Method) -> None:
        place = settle_device(device)
        self.device = torch.device(place)
        self.precision = settle_dtype(dtype, place)
        self.dtype = DTYPES[self.precision]
        self.method = method
        self.limits = Limits(images_at_once=IMAGES_AT_ONCE[self.device.type])
        self.at_once = AtOnce(
            self.limits.objects_at_once, self.limits.sentences_at_once, self.limits.images_at_once
        )
        self.machine = describe_machine(self.device, self.dtype)
        self.revision = revision()
        self._name = ""
        self._model: Sa2VA | None = None

    def shortage(self, case: Case) -> str:
        """Compare the peak that the cost model expects with the memory that is free."""
        sizes, clip, asking = _as_costs(case)
        on_gpu = self.device.type == "cuda"
        capacity = torch.cuda.get_device_properties(self.device).total_memory if on_gpu else 0.0
        peak = peak_memory(
            sizes, clip, asking, self.at_once, gpu_bytes=capacity, value_bytes=self.dtype.itemsize
        )
        needed = peak.total if on_gpu else peak.total + _host_bytes(case)
        # What an earlier case left is let go before this one, or is what it needs.
        if on_gpu:
            held: float = torch.cuda.memory_reserved(self.device)
        else:
            held = peak.weights if self._name == case.size else 0
        free = available_bytes(self.device) + held
        if needed <= free:
            return ""
        return f"it needs about {size_of(needed)}, and {size_of(free)} are free"

    def measure(self, case: Case) -> dict[str, Any]:
        """Time the case; with the limit that the hardware sets, where its data sheet is known.

        Raises InputError when the device has not the kernel that the case names.
        """
        model = self._model_of(case.size)
        model.network.grounding.attention = case.attention
        found = measure(model, case, self.method)
        limit = video_limit(
            config_values(case.size), self.machine["device"], frames=case.frames,
            sentences=case.sentences, key_frames=case.key_frames, size=(case.height, case.width),
            procedure=case.procedure, precision=self.precision,  # type: ignore[arg-type]
            objects_at_once=self.at_once.objects, images_at_once=self.at_once.images,
        )  # fmt: skip
        if limit is not None:
            found["limit"] = {
                "seconds": limit.seconds.at_best, "expected": limit.seconds.expected,
                "flop": limit.flop, "public_flop": limit.public_flop,
            }  # fmt: skip
        return {**found, "memory_attention": model.attention}

    def _model_of(self, size: str) -> Sa2VA:
        """Return the model of a size; the one before it is let go first."""
        if self._model is None or self._name != size:
            self._model = None
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            self._model, self._name = make_model(size, self.device, self.dtype), size
            self._model.limits = self.limits
        return self._model


def _as_costs(case: Case) -> tuple[Sizes, Clip, Asking]:
    """A case in the words of the cost model."""
    return (
        parse_sizes(config_values(case.size)),
        Clip(case.frames, case.sentences, case.height, case.width),
        Asking(case.key_frames, case.procedure),
    )


def _host_bytes(case: Case) -> float:
    """The clip, its squares for SAM 2, and the masks of both procedures, packed."""
    pixels = case.height * case.width
    return case.frames * 3 * (pixels + 1024**2) + 2 * case.masks * pixels / 8
