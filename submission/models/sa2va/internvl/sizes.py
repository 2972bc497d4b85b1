"""The sizes of an InternVL in config.json that decide its cost; no torch.

The same keys as config.py, which builds the network from them; a test compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from submission.models.sa2va.internvl.llm_config import language_config
from submission.models.sa2va.language_sizes import LanguageSizes
from submission.models.sa2va.settings import Settings
from submission.models.sam2.sizes import GroundingConfig, read_grounding
from submission.models.unit_calls import Calls, line, once

FRAME_TOKENS = 3  # of an image beside its own: <img>, </img> and the line break
OPENING_TOKENS = 4  # of a prompt before the first image
Size = tuple[int, int]  # height and width of frames, pixels


@dataclass(frozen=True)
class VisionSizes:
    """InternViT."""

    width: int
    layers: int
    mlp: int
    image: int  # side of the square frame, pixels
    patch: int

    @property
    def patches(self) -> int:
        """Patches of one frame."""
        return (self.image // self.patch) ** 2

    @property
    def tokens(self) -> int:
        """Visual tokens of one frame in the prompt, after the 2 x 2 pixel shuffle."""
        return (self.image // self.patch // 2) ** 2


@dataclass(frozen=True)
class Sizes:
    """A whole Sa2VA on InternVL."""

    vision: VisionSizes
    language: LanguageSizes
    grounding: GroundingConfig

    def prefix_tokens(self, images: int, size: Size, settings: Settings) -> int:
        """Tokens of the prompt up to the last image, whatever the size of the frames."""
        return images * (self.vision.tokens + FRAME_TOKENS) + OPENING_TOKENS

    def see(self, images: int, size: Size, settings: Settings) -> Calls:
        """The vision encoder and its projector over images, whatever the size of the frames."""

        def with_layers(layers: int) -> Calls:
            return line(lambda n: once("vision", "look", layers, 0, n), 1, 2, images)

        return line(with_layers, 1, 2, self.vision.layers)

    def vision_weights(self) -> Calls:
        """Parameters of the vision encoder and its projector."""
        return line(lambda layers: once("vision", "weights", layers, 0), 1, 2, self.vision.layers)

    def vision_bytes(self, images: int, size: Size, settings: Settings, value_bytes: int) -> float:
        """Activations: both sides of the MLP's activation, and five states."""
        vision = self.vision
        states = 2 * vision.mlp + 5 * vision.width
        return images * (vision.patches + 1) * states * value_bytes


def parse_sizes(values: Mapping[str, Any]) -> Sizes:
    """Turn the content of config.json into sizes; raise KeyError for a missing one.

    Raises ValueError for a family that is not built.
    """
    language, vision = language_config(values), values["vision_config"]
    return Sizes(
        VisionSizes(
            width=vision["hidden_size"], layers=vision["num_hidden_layers"],
            mlp=vision["intermediate_size"], image=vision["image_size"],
            patch=vision["patch_size"],
        ),
        LanguageSizes.parse(language),
        read_grounding(values),
    )  # fmt: skip


def parts(values: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the counts of the vision encoder and of the language model, as JSON."""
    language = language_config(values)
    return {
        "vision": [values["vision_config"], language["hidden_size"]],
        "language": {**language, "num_hidden_layers": 0},
    }
