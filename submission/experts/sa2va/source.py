"""The checkpoint of a Sa2VA expert: where it lies, what its files say, the model made from it."""

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from submission.cost.released import KNOWN, config_json
from submission.errors import InputError
from submission.experts.expert import Tools
from submission.experts.sa2va.settings import Settings
from submission.files.strict_json import read_object
from submission.models.sa2va.registry import Kind, kind_of
from submission.models.single_file import sam2_file
from submission.weights.sizes import in_words
from submission.weights.tensors import IMAGE_ENCODER, hash_tensors, loaded_bytes

if TYPE_CHECKING:
    from submission.models.sa2va.model import Sa2VA

CONFIG_BYTES = 1 << 24  # of a config.json; released ones have 6 kB


class Source:
    """A checkpoint as one expert takes it, with the SAM 2 weights that `sam2` names beside it."""

    def __init__(self, settings: Settings, tools: Tools, sam2: str) -> None:
        self.settings = settings
        self.tools = tools
        self.sam2 = sam2

    def load(self) -> "Sa2VA":
        """Load the model, and say so."""
        from submission.models.sa2va.loading import load

        compute, quantize = self.tools.compute, self.settings.quantize
        limits = compute.limits_on(compute.device)
        narrow = ", the language model in int8" if quantize == "int8" else ""
        say = self.tools.reporter.detail
        say(f"loading {self.folder} on {compute.device} as {compute.dtype}{narrow}")
        size = in_words(self.loaded_bytes)
        with self.tools.reporter.inside(f"loading {self.folder.name}", size):
            model = load(
                self.folder, compute.device, compute.dtype, limits=limits, quantize=quantize,
                sam2=sam2_file(self.tools.checkpoints.find(self.sam2)) if self.sam2 else None,
                attention=compute.attention, compile=compute.compile,
                template=self.settings.template,
            )  # fmt: skip
        say(f"memory attention runs on {model.attention}")
        return model

    @cached_property
    def folder(self) -> Path:
        """Where it lies, verified. Raises InputError where it is not whole."""
        return self.tools.checkpoints.find(self.settings.checkpoint)

    @cached_property
    def model_key(self) -> str:
        """By which experts of one model know each other."""
        return f"{self._place} {self.sam2} {self.settings.quantize} {self.settings.template}"

    @cached_property
    def image_encoder(self) -> str:
        """Digest of SAM 2's image encoder; the folder where it has no tensors of that name."""
        again = self.tools.checkpoints.hash_all
        return hash_tensors(self._place, IMAGE_ENCODER, again=again) or str(self._place)

    @cached_property
    def vision_encoder(self) -> str:
        """Digest of the language model's vision encoder; else what only this model has."""
        again, names = self.tools.checkpoints.hash_all, self.kind.vision_encoder
        found = hash_tensors(self._place, names, again=again) if names else ""
        return found or self.model_key

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """The content of config.json, or the table of released sizes before it is fetched."""
        name, finder = self.settings.checkpoint, self.tools.checkpoints
        try:
            return read_object(finder.locate(name) / "config.json", most=CONFIG_BYTES)
        except InputError as error:
            if name in KNOWN:
                return config_json(name)
            if finder.is_locked(name):
                raise InputError(f"{error}; run {finder.command('fetch', name)}") from error
            raise

    @property
    def kind(self) -> Kind:
        """What its backbone says of it."""
        return kind_of(self.values)

    @cached_property
    def loaded_bytes(self) -> float:
        """Of the weights where they are on disk, else 0."""
        with suppress(InputError):  # a name that no lock has
            narrow = self.kind.language_layers if self.settings.quantize == "int8" else None
            return loaded_bytes(self._place, self.tools.compute.value_bytes, narrow)
        return 0

    @property
    def _place(self) -> Path:
        """Where it lies or will lie. Raises InputError for a name that is nowhere."""
        return self.tools.checkpoints.locate(self.settings.checkpoint)
