"""The loaded models of a pass: each is loaded once, and let go when the next needs its room."""

from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING

from submission.device import settle_device, settle_dtype
from submission.progress import Reporter
from submission.recipe import Compute

if TYPE_CHECKING:
    from submission.models.sa2va.model import Sa2VA

IMAGES_AT_ONCE = {"cpu": 4, "cuda": 8}  # on a CPU more gain nothing

# Folder of the checkpoint, SAM 2's file beside it, how the language model's weights are kept.
ModelKey = tuple[Path, Path | None, str]


class ModelShelf:
    """Holds the loaded models of one pass."""

    def __init__(self, compute: Compute, reporter: Reporter) -> None:
        self.compute = compute
        self.device = settle_device(compute.device)
        self.dtype = settle_dtype(compute.dtype, self.device)
        self.reporter = reporter
        self.attention = ""  # the kernel of memory attention, once a model was loaded
        self._models: dict[ModelKey, Sa2VA] = {}

    def take(self, key: ModelKey, beside: AbstractSet[ModelKey]) -> "Sa2VA":
        """Return the model of a checkpoint, loading it when it is not on the shelf.

        All but those that stand `beside` it are let go before it is loaded.
        """
        if key not in self._models:
            self._models = {kept: self._models[kept] for kept in self._models.keys() & beside}
            self._models[key] = self._load(*key)
        return self._models[key]

    def _load(self, checkpoint: Path, sam2: Path | None, quantize: str) -> "Sa2VA":
        from submission.models.sa2va.loading import load
        from submission.models.sa2va.model import Limits

        kind = self.device.partition(":")[0]
        limits = Limits(
            sentences_at_once=self.compute.sentences_at_once,
            objects_at_once=self.compute.objects_at_once,
            images_at_once=self.compute.images_at_once or IMAGES_AT_ONCE[kind],
        )
        narrow = ", the language model in int8" if quantize == "int8" else ""
        self.reporter.detail(f"loading {checkpoint} on {self.device} as {self.dtype}{narrow}")
        model = load(
            checkpoint, self.device, self.dtype, sam2=sam2, limits=limits, quantize=quantize,
            attention=self.compute.attention,
        )  # fmt: skip
        self.attention = model.attention
        self.reporter.detail(f"memory attention runs on {self.attention}")
        return model
