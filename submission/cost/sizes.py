"""The sizes in a checkpoint's config.json that decide its cost; read without torch.

The same keys as submission/model/configuration.py, which builds the network from them; a test
compares the two. What a Sa2VA checkpoint does not state about SAM 2 is Hiera-L at 1024 pixels.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from submission.errors import InputError

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
class TrunkSizes:
    """Hiera, the trunk of SAM 2's image encoder; the defaults are Hiera-L."""

    embed_dim: int = 144
    num_heads: int = 2
    stages: tuple[int, ...] = (2, 6, 36, 4)
    global_att_blocks: tuple[int, ...] = (23, 33, 43)
    window_pos_embed_bkg_spatial_size: tuple[int, int] = (7, 7)
    window_spec: tuple[int, ...] = (8, 4, 16, 8)


@dataclass(frozen=True)
class GroundingSizes:
    """SAM 2; the defaults are SAM 2.0 large."""

    image_size: int = 1024  # pixels, square
    hidden_size: int = 256
    memory_size: int = 64  # channels of a memory map
    memory_layers: int = 4
    memory_ffn: int = 2048
    decoder_ffn: int = 2048
    iou_head_size: int = 256
    hiera: TrunkSizes = field(default_factory=TrunkSizes)

    @property
    def places(self) -> int:
        """Places of the stride-16 map."""
        return (self.image_size // 16) ** 2


@dataclass(frozen=True)
class Sizes:
    """A whole Sa2VA."""

    vision: VisionSizes
    language: LanguageSizes
    grounding: GroundingSizes


def read_sizes(folder: Path) -> Sizes:
    """Read `folder/config.json`; raise InputError when it is missing or lacks a size."""
    path = folder / "config.json"
    try:
        return parse_sizes(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(f"{folder}: there is no config.json; fetch the whole checkpoint") from None
    except KeyError as error:
        raise InputError(f"{path}: the key {error} is missing; fetch the file again") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}; fetch the file again") from None


def parse_sizes(values: Mapping[str, Any]) -> Sizes:
    """Turn the content of config.json into sizes; raise KeyError for a missing one."""
    vision, language = values["vision_config"], values["llm_config"]
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
        _grounding(values),
    )  # fmt: skip


def _grounding(values: Mapping[str, Any]) -> GroundingSizes:
    stated = dict(values.get("grounding_config", {}))
    if "sam2_tiny" in values and not stated:
        renamed = {"hidden": "hidden_size", "mem_dim": "memory_size", "num_layers": "memory_layers",
                   "ffn": "memory_ffn", "image_size": "image_size", "hiera": "hiera"}  # fmt: skip
        stated = {renamed[key]: item for key, item in values["sam2_tiny"].items() if key in renamed}
    trunk: dict[str, Any] = {
        key: tuple(item) if isinstance(item, list) else item
        for key, item in stated.pop("hiera", {}).items()
    }
    return GroundingSizes(**stated, hiera=TrunkSizes(**trunk))
