"""What the numbers of a config.json can be, wherever they stand in it; no torch.

A size that no model has would take all memory, or hours, before anything else refused it.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from submission.errors import Fault

# Whole numbers from 1 up to these, or lists of such; some four times those of any model.
_MOST = {
    "hidden_size": 1 << 15, "out_hidden_size": 1 << 15, "intermediate_size": 1 << 17,
    "num_hidden_layers": 400, "depth": 400, "num_attention_heads": 512,
    "num_key_value_heads": 512, "num_heads": 512, "head_dim": 2048, "vocab_size": 1 << 20,
    "max_position_embeddings": 1 << 24, "num_position_embeddings": 1 << 16,
    "image_size": 4096, "patch_size": 128, "spatial_merge_size": 16, "temporal_patch_size": 16,
    "window_size": 4096, "memory_size": 4096, "memory_layers": 64, "memory_ffn": 1 << 16,
    "decoder_ffn": 1 << 16, "iou_head_size": 1 << 14, "embed_dim": 4096, "stages": 200,
    "window_pos_embed_bkg_spatial_size": 256, "window_spec": 256,
    "hidden": 1 << 15, "mem_dim": 4096, "num_layers": 64, "ffn": 1 << 16,  # of sam2_tiny
}  # fmt: skip
_INDICES = ("global_att_blocks", "fullatt_block_indexes", "deepstack_visual_indexes")
_BETWEEN = {  # numbers, both ends left out
    "layer_norm_eps": (0, 1), "rms_norm_eps": (0, 1), "rope_theta": (1, 1e12), "factor": (0, 1e4),
}  # fmt: skip
_CHOICES = {
    "hidden_act": ("gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu"),
    "norm_type": ("layer_norm", "rms_norm"),
}
_SWITCHES = ("qkv_bias", "qk_normalization", "use_qk_norm", "tie_word_embeddings")
_KNOWN = {*_MOST, *_INDICES, *_BETWEEN, *_CHOICES, *_SWITCHES}
_TABLES = ("llm_config", "vision_config", "text_config", "grounding_config", "hiera", "sam2_tiny")
_MAY_BE_NULL = ("head_dim", "tie_word_embeddings")  # as outside of all tables: not there
_LONGEST = 100  # values of a list


def faults(values: Mapping[str, Any], where: str = "") -> Iterator[Fault]:
    """Give every known key of config.json, and of the tables in it, whose value cannot be."""
    for key, value in values.items():
        if isinstance(value, dict) and key not in _KNOWN:
            yield from faults(value, f"{where}{key}.")
        elif value is None and (key in _MAY_BE_NULL or not where):
            continue
        elif (wanted := _wanted(key, value)) is not None:
            shown = ascii(value)
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            yield Fault(f"{where}{key}", f"it is {shown}; it must be {wanted}")


def _wanted(key: str, value: Any) -> str | None:
    """Say what the value of a key must be, where it is something else."""
    if key in _MOST and not _all(value, 1, _MOST[key]):
        return f"a whole number from 1 to {_MOST[key]:,}"
    if key in _INDICES and not (isinstance(value, list) and _all(value, 0, _MOST["depth"])):
        return "a list of numbers of layers"
    if key in _BETWEEN and not _is_between(value, *_BETWEEN[key]):
        return f"a number between {_BETWEEN[key][0]:g} and {_BETWEEN[key][1]:g}"
    if key in _CHOICES and value not in _CHOICES[key]:
        return f"one of {', '.join(_CHOICES[key])}"
    if key in _SWITCHES and not isinstance(value, bool):
        return "true or false"
    if key in _TABLES:  # a table was looked into
        return "an object"
    return None


def _all(value: Any, least: int, most: int) -> bool:
    inside = value if isinstance(value, list) else [value]
    return len(inside) <= _LONGEST and all(
        type(one) is int and least <= one <= most for one in inside
    )


def _is_between(value: Any, low: float, high: float) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and low < value < high
