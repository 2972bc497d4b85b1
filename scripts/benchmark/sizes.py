"""The sizes that can be timed: every released one, and small ones for machines without a GPU."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from submission.cost.released import QWEN_VL, RELEASED, config_json

ROOT = Path(__file__).parents[2]

SMALL: dict[str, Any] = {
    "template": "qwen_chat",
    "vision_config": {
        "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
        "intermediate_size": 128, "norm_type": "layer_norm", "qkv_bias": True,
        "qk_normalization": False, "layer_norm_eps": 1e-6, "image_size": 112, "patch_size": 14,
    },
    "llm_config": {
        "architectures": ["Qwen2ForCausalLM"], "vocab_size": 1000, "hidden_size": 128,
        "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 256, "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1e6,
        "max_position_embeddings": 32768,
    },
    "grounding_config": {
        "image_size": 256, "hidden_size": 64, "memory_size": 16, "memory_layers": 2,
        "memory_ffn": 128, "decoder_ffn": 256, "iou_head_size": 64,
        "hiera": {"embed_dim": 16, "num_heads": 1, "stages": [1, 2, 3, 1],
                  "global_att_blocks": [4], "window_pos_embed_bkg_spatial_size": [7, 7],
                  "window_spec": [8, 4, 16, 8]},
    },
}  # fmt: skip
# Small checkpoints that come along: the trained one of the sample, and the two that the reference's
# recorded numbers were made with.
CARRIED = {
    "sample": ROOT / "submission" / "samples" / "small-5",
    "reference-qwen2": ROOT / "tests" / "reference" / "models" / "tiny_qwen2",
    "reference-internlm2": ROOT / "tests" / "reference" / "models" / "tiny_internlm2_i",
}
NAMES = ("small", *CARRIED, *RELEASED, *QWEN_VL)
SMALL_VOCABULARY = SMALL["llm_config"]["vocab_size"]
LEAST_LAYERS = 3  # Qwen3-VL hands features to as many layers of its language model


def known_size(text: str) -> str:
    """Return a size as it is named; NAME/N has N layers, and the SAM 2 and vocabulary of "small".

    Widths and heads of what sees and speaks stay true. Raises ArgumentTypeError for one that is
    not known.
    """
    name, slash, layers = text.partition("/")
    if name not in NAMES:
        raise argparse.ArgumentTypeError(f"{name!r}; known: {', '.join(NAMES)}")
    if slash and (name in CARRIED or not layers.isdecimal() or int(layers) < LEAST_LAYERS):
        raise argparse.ArgumentTypeError(
            f"{text!r}: NAME/N needs at least {LEAST_LAYERS} layers, of a model without weights"
        )
    return text


def config_values(size: str) -> dict[str, Any]:
    """Content of config.json for a size."""
    name, slash, layers = size.partition("/")
    if slash:
        return _cut(config_values(name), int(layers))
    if name in CARRIED:
        values: dict[str, Any] = json.loads((CARRIED[name] / "config.json").read_text())
        return values
    return SMALL if name == "small" else config_json(name)


def _cut(values: Mapping[str, Any], layers: int) -> dict[str, Any]:
    """The same with few layers in what sees and speaks, few words, and a small SAM 2."""
    llm = "text_config" if "text_config" in values else "llm_config"
    fewer = {
        "depth": layers, "num_hidden_layers": layers,
        "fullatt_block_indexes": [layers - 1],
        "deepstack_visual_indexes": list(range(layers - 3, layers)),
    }  # fmt: skip
    vision = values["vision_config"]
    return {
        **values,
        "vision_config": vision | {key: fewer[key] for key in fewer.keys() & vision.keys()},
        llm: {**values[llm], "num_hidden_layers": layers, "vocab_size": SMALL_VOCABULARY},
        "grounding_config": SMALL["grounding_config"],
    }
