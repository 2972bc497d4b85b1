"""The sizes of a checkpoint that decide its cost, as every backbone states them; no torch."""

from typing import Protocol

from submission.models.sa2va.language_sizes import LanguageSizes
from submission.models.sa2va.settings import Settings
from submission.models.sam2.sizes import GroundingConfig
from submission.models.unit_calls import Calls

Size = tuple[int, int]  # height and width of frames, pixels


class Sizes(Protocol):
    """What the cost of a video hangs on; each backbone reads its own."""

    @property
    def language(self) -> LanguageSizes:
        """Of the language model."""

    @property
    def grounding(self) -> GroundingConfig:
        """Of SAM 2."""

    def prefix_tokens(self, images: int, size: Size, settings: Settings) -> int:
        """Tokens of a prompt up to its last image, for frames of `size`."""

    def see(self, images: int, size: Size, settings: Settings) -> Calls:
        """The vision encoder over images of such frames."""

    def vision_weights(self) -> Calls:
        """Parameters of the vision encoder, with what projects its tokens."""

    def vision_bytes(self, images: int, size: Size, settings: Settings, value_bytes: int) -> float:
        """Bytes of the vision encoder's activations."""
