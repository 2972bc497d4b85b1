"""The sizes of a Qwen-VL in config.json that decide its cost; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from submission.models.sa2va.language_sizes import LanguageSizes
from submission.models.sa2va.qwenvl.images import resize_of
from submission.models.sa2va.settings import Settings
from submission.models.sam2.sizes import GroundingConfig, read_grounding
from submission.models.unit_calls import Calls, once

FRAME_TOKENS = 2  # of an image beside its own: where it begins and ends
OPENING_TOKENS = 3  # of a prompt before the first image, without a system turn
Size = tuple[int, int]  # height and width of frames, pixels


@dataclass(frozen=True)
class Sizes:
    """A whole Sa2VA on Qwen-VL."""

    values: Mapping[str, Any]  # config.json as it stands
    language: LanguageSizes
    grounding: GroundingConfig

    @property
    def depth(self) -> int:
        """Layers of the vision encoder."""
        return int(self.values["vision_config"]["depth"])

    @property
    def special(self) -> int:
        """Layers of it that see the whole image (Qwen2.5), or hand out features (Qwen3)."""
        vision = self.values["vision_config"]
        indexes = vision.get("fullatt_block_indexes", vision.get("deepstack_visual_indexes"))
        return len(indexes)

    def patches(self, size: Size, settings: Settings) -> tuple[int, int]:
        """Rows and columns of patches of an image that is made of a frame of this size."""
        patch = int(self.values["vision_config"]["patch_size"])
        height, width = resize_of(self.values, settings).size(*size)
        return height // patch, width // patch

    def prefix_tokens(self, images: int, size: Size, settings: Settings) -> int:
        """Tokens of the prompt up to the last image; a system turn would be a few more."""
        rows, columns = self.patches(size, settings)
        merge = int(self.values["vision_config"]["spatial_merge_size"])
        return images * (rows * columns // merge**2 + FRAME_TOKENS) + OPENING_TOKENS

    def see(self, images: int, size: Size, settings: Settings) -> Calls:
        """The vision encoder over images, one after another."""
        rows, columns = self.patches(size, settings)
        return images * self._with_layers("look", rows, columns)

    def vision_weights(self) -> Calls:
        """Parameters of the vision encoder."""
        return self._with_layers("weights")

    def vision_bytes(self, images: int, size: Size, settings: Settings, value_bytes: int) -> float:
        """Activations of one image while queries and keys are turned, and the tokens of all.

        That is done in float32: six states, and in Qwen3 the positions as they were made. Beside
        them lie queries, keys and values, two states, the pixels, and two tables of a head's width.
        """
        vision, (rows, columns) = self.values["vision_config"], self.patches(size, settings)
        hidden, patches = int(vision["hidden_size"]), rows * columns
        pixels = 3 * 2 * int(vision["patch_size"]) ** 2
        deep = len(vision.get("deepstack_visual_indexes", ()))
        wide = (7 if deep else 6) * hidden + 2 * hidden // int(vision["num_heads"])
        turning = patches * (value_bytes * (5 * hidden + pixels) + 4 * wide)
        tokens = images * patches // int(vision["spatial_merge_size"]) ** 2
        return turning + float(tokens * (1 + deep) * vision["out_hidden_size"] * value_bytes)

    def _with_layers(self, name: str, *numbers: int) -> Calls:
        """From three small encoders: one layer, two, and one more that is special."""

        def counted(layers: int, special: int) -> Calls:
            return once("vision", name, layers, special, *numbers)

        plain = counted(1, 0)
        one_more = counted(2, 0) + -1 * plain
        one_special = counted(2, 1) + -1 * plain
        return plain + (self.depth - self.special - 1) * one_more + self.special * one_special


def parse_sizes(values: Mapping[str, Any]) -> Sizes:
    """Turn the content of config.json into sizes; raise KeyError for a missing one."""
    vision = values["vision_config"]
    for key in ("depth", "patch_size", "spatial_merge_size", "intermediate_size", "hidden_size"):
        vision[key]  # a missing one is told now
    deep = len(vision.get("deepstack_visual_indexes", ()))
    return Sizes(
        values, LanguageSizes.parse(values["text_config"], max(1, deep)), read_grounding(values)
    )


def parts(values: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the counts of the vision encoder and of the language model, as JSON."""
    return {
        "vision": values["vision_config"],
        "language": {**values["text_config"], "num_hidden_layers": 0},
    }
