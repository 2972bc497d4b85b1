"""The real bench: models of this machine, one at a time, and what they cost."""

from typing import Any

import torch

from scripts.benchmark.cases import Case
from scripts.benchmark.flop import count, parameters, total
from scripts.benchmark.measure import Method, measure
from scripts.benchmark.random_model import make_model
from scripts.benchmark.resources import available_bytes, describe_machine, revision
from scripts.benchmark.tables import size_of
from submission.device import settle_device, settle_dtype
from submission.model import Sa2VA

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ROOM = 1.5e9  # bytes beside weights, masks and memory: activations of one pass, libraries


class ModelBench:
    """Times cases on a device; holds the model of the last case."""

    def __init__(self, device: str, dtype: str, method: Method) -> None:
        place = settle_device(device)
        self.device = torch.device(place)
        self.dtype = DTYPES[settle_dtype(dtype, place)]
        self.method = method
        self.machine = describe_machine(self.device, self.dtype)
        self.revision = revision()
        self._name = ""
        self._model: Sa2VA | None = None

    def flop(self, case: Case) -> tuple[float, float]:
        """FLOP of the public procedure and of ours, as torch counts them."""
        both = total(
            count(
                case.size, frames=case.frames, key_frames=min(case.key_frames, case.frames),
                sentences=case.sentences,
            )
        )  # fmt: skip
        return both.public, both.ours

    def shortage(self, case: Case) -> str:
        """Compare weights, masks of both procedures and the clip with the memory that is free."""
        weights = parameters(case.size) * self.dtype.itemsize
        masks = case.masks * case.height * case.width // 8  # packed, in the machine's memory
        clip = 3 * case.frames * (case.height * case.width + 2 * 1024 * 1024)
        held = weights if self._name == case.size else 0
        needed = weights + ROOM + (0 if self.device.type == "cuda" else 2 * masks + clip)
        free = available_bytes(self.device) + held
        if needed <= free:
            return ""
        return f"it needs about {size_of(needed)}, and {size_of(free)} are free"

    def measure(self, case: Case) -> dict[str, Any]:
        """Time the case."""
        return measure(self.model(case.size), case, self.method)

    def model(self, size: str) -> Sa2VA:
        """Return the model of a size; the one before it is let go first."""
        if self._model is None or self._name != size:
            self._model = None
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            self._model, self._name = make_model(size, self.device, self.dtype), size
        return self._model
