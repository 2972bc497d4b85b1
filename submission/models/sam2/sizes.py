"""Sizes of SAM 2 in a checkpoint: the released ones, or those that a small one states; no torch.

The values that a Sa2VA checkpoint does not carry are the ones its authors hard-coded: SAM 2.0 with
Hiera-L at 1024 x 1024 pixels (sam2/configs/sam2/sam2_hiera_l.yaml of the `sam2` package). A small
checkpoint states its own sizes under `grounding_config`; the key `sam2_tiny` of the public test
checkpoints is read as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from submission.errors import InputError
from submission.files.strict_json import read_object

BESIDE = "config.json"  # beside a file of a small SAM 2: its sizes, as a Sa2VA states them
MOST_BYTES = 1 << 20  # of that
NUM_MEMORY_FRAMES = 7  # slots of the temporal embedding: six previous frames, one for prompted ones
MAX_RECENT_MAPS = NUM_MEMORY_FRAMES - 1  # previous frames whose memory maps are attended to
MAX_POINTERS = 16  # window of object pointers in frames, the current one included


@dataclass(frozen=True)
class HieraConfig:
    """Sizes of SAM 2's image encoder trunk; the defaults are Hiera-L."""

    embed_dim: int = 144
    num_heads: int = 2
    stages: tuple[int, ...] = (2, 6, 36, 4)
    global_att_blocks: tuple[int, ...] = (23, 33, 43)
    window_pos_embed_bkg_spatial_size: tuple[int, int] = (7, 7)
    window_spec: tuple[int, ...] = (8, 4, 16, 8)


@dataclass(frozen=True)
class GroundingConfig:
    """Sizes of SAM 2; the defaults are the released SAM 2.0 large."""

    image_size: int = 1024  # pixels, square
    hidden_size: int = 256  # channels of features, tokens and object pointers
    memory_size: int = 64  # channels of a memory frame
    memory_layers: int = 4  # layers of memory attention
    memory_ffn: int = 2048
    decoder_ffn: int = 2048  # feed-forward width of the mask decoder's two-way transformer
    iou_head_size: int = 256
    hiera: HieraConfig = field(default_factory=HieraConfig)

    @property
    def feature_size(self) -> int:
        """Side of the stride-16 feature map."""
        return self.image_size // 16

    @property
    def places(self) -> int:
        """Places of the stride-16 feature map."""
        return self.feature_size**2

    @property
    def feature_values(self) -> int:
        """Values of one frame's three feature maps."""
        return (1 + 4 + 16) * self.places * self.hidden_size


def read_grounding(values: Mapping[str, Any]) -> GroundingConfig:
    """Read the sizes of SAM 2 from the content of config.json.

    Raises KeyError for a missing key, TypeError for an unknown one, ValueError for a size that
    SAM 2 cannot have.
    """
    if "grounding_config" in values:
        return _checked_sizes(dict(values["grounding_config"]))
    if "sam2_tiny" in values:
        tiny = values["sam2_tiny"]
        return _checked_sizes(
            {
                "image_size": tiny["image_size"],
                "hidden_size": tiny["hidden"],
                "memory_size": tiny["mem_dim"],
                "memory_layers": tiny["num_layers"],
                "memory_ffn": tiny["ffn"],
                "hiera": tiny["hiera"],
            }
        )
    return GroundingConfig()


def sizes_beside(file: Path) -> GroundingConfig:
    """Return the sizes of a SAM 2 that is one file: the released ones where nobody states others.

    Raises InputError for a config.json that makes no sense.
    """
    path = file.with_name(BESIDE)
    if not path.is_file():
        return GroundingConfig()
    try:
        return read_grounding(read_object(path, most=MOST_BYTES))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}") from None


def _checked_sizes(settings: dict[str, Any]) -> GroundingConfig:
    hiera: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in settings.pop("hiera", {}).items()
    }
    config = GroundingConfig(**settings, hiera=HieraConfig(**hiera))
    starts = [sum(config.hiera.stages[:stage]) for stage in range(1, len(config.hiera.stages))]
    if global_starts := sorted(set(starts) & set(config.hiera.global_att_blocks)):
        raise ValueError(
            f"hiera: the blocks {global_starts} begin a stage and cannot attend globally, because "
            "SAM 2 pools there within windows"
        )
    if config.image_size % 32:
        raise ValueError(f"grounding image_size is {config.image_size}, not a multiple of 32")
    if config.hidden_size % config.memory_size:
        raise ValueError(
            f"grounding hidden_size {config.hidden_size} is not a multiple of "
            f"memory_size {config.memory_size}"
        )
    return config
