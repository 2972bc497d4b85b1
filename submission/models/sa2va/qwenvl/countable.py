"""A Qwen-VL with few layers and without values, on which work is counted."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from submission.models.counting import empty, without_values
from submission.models.meta import parameters_on_meta
from submission.models.sa2va.qwenvl.config import QwenVLConfig, parse_config
from submission.models.sa2va.qwenvl.vision import TIMES, see

NO_COLOURS = {"image_mean": (0.5,) * 3, "image_std": (0.5,) * 3}


def vision(values: Mapping[str, Any], layers: int, special: int) -> nn.Module:
    """The vision encoder; its last `special` layers see whole images, or hand out features."""
    return _modules(values, layers, special)[0]


def look(encoder: Any, rows: int, columns: int) -> None:
    """Let it read an image of so many rows and columns of patches."""
    patch = encoder.config.patch_size
    see(encoder, empty(rows * columns, 3 * TIMES * patch**2), (rows, columns))


def language(values: Mapping[str, Any], layers: int) -> PreTrainedModel:
    """The language model."""
    return _modules(values, layers, 0)[1]


def _modules(
    values: Mapping[str, Any], layers: int, special: int
) -> tuple[nn.Module, PreTrainedModel]:
    key = next(
        key for key in ("fullatt_block_indexes", "deepstack_visual_indexes")
        if key in values["vision_config"]
    )  # fmt: skip
    seen = {"depth": layers, key: list(range(layers - special, layers))}
    fewer = {
        **values,
        "vision_config": {**values["vision_config"], **seen},
        "text_config": {**values["text_config"], "num_hidden_layers": layers},
    }
    config: QwenVLConfig = parse_config(
        fewer, has_tuned_decoder=False, colours=NO_COLOURS, template=""
    )
    with parameters_on_meta():
        eyes, words = config.modules()
    return without_values(eyes).eval(), without_values(words).eval()  # type: ignore[no-untyped-call]
