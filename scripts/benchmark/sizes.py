"""config.json of each released size, as far as the network's shape needs it.

Sources: the public configurations of InternVL2.5 and InternVL3 and of their language models; the
26B values that are not public follow the model classes' defaults.
"""

from typing import Any

QWEN_VOCABULARY, INTERNLM2_VOCABULARY = 151_679, 92_558  # with Sa2VA's five tokens added

INTERNVIT_300M = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096, "norm_type": "layer_norm", "qkv_bias": True,
    "qk_normalization": False, "hidden_act": "gelu", "layer_norm_eps": 1e-6, "image_size": 448,
    "patch_size": 14,
}  # fmt: skip
INTERNVIT_6B = INTERNVIT_300M | {
    "hidden_size": 3200, "num_hidden_layers": 45, "num_attention_heads": 25,
    "intermediate_size": 12800, "norm_type": "rms_norm", "qkv_bias": False,
    "qk_normalization": True,
}  # fmt: skip


def _qwen2(hidden: int, layers: int, heads: int, groups: int, mlp: int) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2ForCausalLM"], "hidden_size": hidden, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": groups, "intermediate_size": mlp,
        "vocab_size": QWEN_VOCABULARY, "rope_theta": 1e6, "rms_norm_eps": 1e-6,
        "hidden_act": "silu", "max_position_embeddings": 32768,
    }  # fmt: skip


def _internlm2(hidden: int, layers: int, heads: int, mlp: int, theta: float) -> dict[str, Any]:
    return {
        "architectures": ["InternLM2ForCausalLM"], "hidden_size": hidden,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": 8,
        "intermediate_size": mlp, "vocab_size": INTERNLM2_VOCABULARY, "rope_theta": theta,
        "rope_scaling": {"type": "dynamic", "factor": 2.0}, "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "max_position_embeddings": 32768,
    }  # fmt: skip


_SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "1B": (INTERNVIT_300M, _qwen2(896, 24, 14, 2, 4864)),
    "4B": (INTERNVIT_300M, _qwen2(2048, 36, 16, 2, 11008)),
    "8B": (INTERNVIT_300M, _internlm2(4096, 32, 32, 14336, 1e6)),
    "26B": (INTERNVIT_6B, _internlm2(6144, 48, 48, 16384, 5e7)),
    "InternVL3-2B": (INTERNVIT_300M, _qwen2(1536, 28, 12, 2, 8960)),
    "InternVL3-8B": (INTERNVIT_300M, _qwen2(3584, 28, 28, 4, 18944)),
    "InternVL3-14B": (INTERNVIT_300M, _qwen2(5120, 48, 40, 8, 13824)),
}
# A small one for machines without a GPU: SAM 2 at a quarter of the image, little else.
SMALL = {
    "vision_config": INTERNVIT_300M | {"hidden_size": 64, "num_hidden_layers": 3,
                                       "num_attention_heads": 4, "intermediate_size": 128,
                                       "image_size": 112},
    "llm_config": _qwen2(128, 4, 4, 2, 256),
    "grounding_config": {
        "image_size": 256, "hidden_size": 64, "memory_size": 16, "memory_layers": 2,
        "memory_ffn": 128, "decoder_ffn": 256, "iou_head_size": 64,
        "hiera": {"embed_dim": 16, "num_heads": 1, "stages": [1, 2, 3, 1],
                  "global_att_blocks": [4], "window_pos_embed_bkg_spatial_size": [7, 7],
                  "window_spec": [8, 4, 16, 8]},
    },
}  # fmt: skip
NAMES = ("small", *_SIZES)


def config_values(name: str) -> dict[str, Any]:
    """Content of config.json for a size; the template never matters for speed."""
    if name == "small":
        sizes: dict[str, Any] = SMALL
    else:
        vision, language = _SIZES[name]
        sizes = {"vision_config": vision, "llm_config": language}
    return {"template": "qwen_chat", **sizes}
