"""The sizes in a checkpoint's config.json that decide its cost; read without torch.

The same keys as submission/models/sa2va/internvl/config.py, which builds the network from them; a
test compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submission.errors import InputError
from submission.models.sa2va.config_file import language_config, read_values
from submission.models.sam2.sizes import GroundingConfig, read_grounding

Q_POOLED_STAGES = 3  # stages of the trunk that begin by halving the map


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
class LanguageSizes:
    """Llama (InternLM2), Qwen2 or Qwen3."""

    width: int
    layers: int
    heads: int
    groups: int  # key/value heads
    head: int  # width of a head
    mlp: int
    vocabulary: int


@dataclass(frozen=True)
class Sizes:
    """A whole Sa2VA."""

    vision: VisionSizes
    language: LanguageSizes
    grounding: GroundingConfig


def read_sizes(folder: Path) -> Sizes:
    """Read `folder/config.json`; raise InputError when it is missing or lacks a size."""
    path = folder / "config.json"
    values = read_values(folder)
    try:
        return parse_sizes(values)
    except KeyError as error:
        raise InputError(f"{path}: the key {error} is missing; fetch the file again") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}") from None


def parse_sizes(values: Mapping[str, Any]) -> Sizes:
    """Turn the content of config.json into sizes; raise KeyError for a missing one.

    Raises ValueError for a family that is not built.
    """
    language, vision = language_config(values), values["vision_config"]
    heads = language["num_attention_heads"]
    return Sizes(
        VisionSizes(
            width=vision["hidden_size"], layers=vision["num_hidden_layers"],
            mlp=vision["intermediate_size"], image=vision["image_size"],
            patch=vision["patch_size"],
        ),
        LanguageSizes(
            width=language["hidden_size"], layers=language["num_hidden_layers"], heads=heads,
            groups=language["num_key_value_heads"],
            head=language.get("head_dim") or language["hidden_size"] // heads,
            mlp=language["intermediate_size"], vocabulary=language["vocab_size"],
        ),
        read_grounding(values),
    )  # fmt: skip
