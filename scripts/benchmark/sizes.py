"""The sizes that can be timed: every released one, and a small one for machines without a GPU."""

from typing import Any

from scripts.released_sizes import RELEASED, config_json

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
NAMES = ("small", *RELEASED)


def config_values(name: str) -> dict[str, Any]:
    """Content of config.json for a size."""
    return SMALL if name == "small" else config_json(name)
