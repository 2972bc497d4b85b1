"""The sizes of the released checkpoints, as their config.json states them.

Sources: the public configurations of Sa2VA, InternVL2.5, InternVL3, Qwen2.5-VL and Qwen3-VL and of
their language models; what is not public of 26B follows the model classes' defaults.
"""

from dataclasses import dataclass
from typing import Any

NEW_TOKENS = 5  # [SEG] <p> </p> <vp> </vp>, added to the vocabularies below
QWEN, INTERN = "Qwen2ForCausalLM", "InternLM2ForCausalLM"


@dataclass(frozen=True)
class Vision:
    """An InternViT."""

    hidden: int
    layers: int
    heads: int
    mlp: int
    norm: str
    qkv_bias: bool
    qk_norm: bool


@dataclass(frozen=True)
class Language:
    """A language model."""

    architecture: str
    hidden: int
    layers: int
    heads: int
    groups: int  # key/value heads
    mlp: int
    vocabulary: int  # before the new tokens
    theta: float
    template: str


VIT_300M = Vision(1024, 24, 16, 4096, "layer_norm", qkv_bias=True, qk_norm=False)
VIT_6B = Vision(3200, 45, 25, 12800, "rms_norm", qkv_bias=False, qk_norm=True)
#                       hidden layers heads groups  mlp   vocabulary  theta  template
QWEN_05B = Language(QWEN, 896, 24, 14, 2, 4864, 151674, 1e6, "qwen_chat")
QWEN_15B = Language(QWEN, 1536, 28, 12, 2, 8960, 151674, 1e6, "qwen_chat")
QWEN_3B = Language(QWEN, 2048, 36, 16, 2, 11008, 151674, 1e6, "phi3_chat")
QWEN_7B = Language(QWEN, 3584, 28, 28, 4, 18944, 151674, 1e6, "qwen_chat")
QWEN_14B = Language(QWEN, 5120, 48, 40, 8, 13824, 151674, 1e6, "qwen_chat")
INTERN_7B = Language(INTERN, 4096, 32, 32, 8, 14336, 92553, 1e6, "internlm2_chat")
INTERN_20B = Language(INTERN, 6144, 48, 48, 8, 16384, 92553, 5e7, "internlm2_chat")

# Name: vision encoder, language model, two mask decoders (Sa2VA-i)?
RELEASED: dict[str, tuple[Vision, Language, bool]] = {
    "Sa2VA-1B": (VIT_300M, QWEN_05B, False),
    "Sa2VA-4B": (VIT_300M, QWEN_3B, False),
    "Sa2VA-8B": (VIT_300M, INTERN_7B, False),
    "Sa2VA-26B": (VIT_6B, INTERN_20B, False),
    "Sa2VA-InternVL3-2B": (VIT_300M, QWEN_15B, False),
    "Sa2VA-InternVL3-8B": (VIT_300M, QWEN_7B, False),
    "Sa2VA-InternVL3-14B": (VIT_300M, QWEN_14B, False),
    "Sa2VA-i-1B": (VIT_300M, QWEN_05B, True),
    "Sa2VA-i-4B": (VIT_300M, QWEN_3B, True),
    "Sa2VA-i-8B": (VIT_300M, INTERN_7B, True),
    "Sa2VA-i-26B": (VIT_6B, INTERN_20B, True),
}

QWEN2_5_VISION = {
    "depth": 32, "hidden_size": 1280, "hidden_act": "silu", "intermediate_size": 3420,
    "num_heads": 16, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
    "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31],
}  # fmt: skip
QWEN3_VISION = {
    "depth": 24, "hidden_size": 1024, "hidden_act": "gelu_pytorch_tanh", "intermediate_size": 4096,
    "num_heads": 16, "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2,
    "num_position_embeddings": 2304, "deepstack_visual_indexes": [5, 11, 17],
}  # fmt: skip
# Name: vision encoder; of the language model hidden, layers, heads, groups, mlp, vocabulary with
# the new tokens.
QWEN_VL: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "Sa2VA-Qwen2_5-VL-3B": (QWEN2_5_VISION, (2048, 36, 16, 2, 11008, 151670)),
    "Sa2VA-Qwen2_5-VL-7B": (QWEN2_5_VISION, (3584, 28, 28, 4, 18944, 151670)),
    "Sa2VA-Qwen3-VL-2B": (QWEN3_VISION, (2048, 28, 16, 8, 6144, 151674)),
    "Sa2VA-Qwen3-VL-4B": (QWEN3_VISION, (2560, 36, 32, 8, 9728, 151674)),
}
# The vision encoder of the largest judge; what is plain has the base's vocabulary, padded.
QWEN3_8B_VISION = QWEN3_VISION | {
    "depth": 27, "hidden_size": 1152, "intermediate_size": 4304,
    "deepstack_visual_indexes": [8, 16, 24],
}  # fmt: skip
PLAIN: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "Qwen2_5-VL-3B": (QWEN2_5_VISION, (2048, 36, 16, 2, 11008, 151936)),
    "Qwen2_5-VL-7B": (QWEN2_5_VISION, (3584, 28, 28, 4, 18944, 152064)),
    "Qwen3-VL-2B": (QWEN3_VISION, (2048, 28, 16, 8, 6144, 151936)),
    "Qwen3-VL-4B": (QWEN3_VISION, (2560, 36, 32, 8, 9728, 151936)),
    "Qwen3-VL-8B": (QWEN3_8B_VISION, (4096, 36, 32, 8, 12288, 151936)),
}
# Fine-tuned from others, with the same tensors (26B: their number and sum were seen).
SAME_AS = {"SaSaSa2VA-4B": "Sa2VA-4B", "SaSaSa2VA-26B": "Sa2VA-26B"}
KNOWN = (*RELEASED, *QWEN_VL, *SAME_AS)


def config_json(name: str) -> dict[str, Any]:
    """The content of config.json, as far as it is read; SAM 2's sizes are not in it."""
    model_type = "sasasa2va_chat" if name in SAME_AS else "sa2va_chat"
    name = SAME_AS.get(name, name)
    stated = (QWEN_VL | PLAIN).get(name)
    sizes = _qwen_vl(*stated) if stated else _internvl(name)
    return sizes if name in PLAIN else {"model_type": model_type, **sizes}


def has_two_decoders(name: str) -> bool:
    """Whether a released checkpoint holds SAM 2's own mask decoder, too, as Sa2VA-i does."""
    return name in RELEASED and RELEASED[name][2]


def _qwen_vl(vision: dict[str, Any], language: tuple[int, ...]) -> dict[str, Any]:
    hidden, layers, heads, groups, mlp, vocabulary = language
    text = {
        "vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": mlp,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": groups,
        "hidden_act": "silu", "rms_norm_eps": 1e-6, "max_position_embeddings": 128000,
        "head_dim": 128, "rope_theta": 1e6, "rope_scaling": {"mrope_section": [24, 20, 20]},
    }  # fmt: skip
    return {"text_config": text, "vision_config": {**vision, "out_hidden_size": hidden}}


def _internvl(name: str) -> dict[str, Any]:
    vision, language, _ = RELEASED[name]
    intern = language.architecture == INTERN
    return {
        "template": language.template.replace("_", "-"),
        "downsample_ratio": 0.5,
        "ps_version": "v2",
        "select_layer": -1,
        "force_image_size": 448,
        "use_backbone_lora": 0,
        "use_llm_lora": 0,
        "vision_config": {
            "hidden_size": vision.hidden,
            "num_hidden_layers": vision.layers,
            "num_attention_heads": vision.heads,
            "intermediate_size": vision.mlp,
            "norm_type": vision.norm,
            "qkv_bias": vision.qkv_bias,
            "qk_normalization": vision.qk_norm,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-6,
            "image_size": 448,
            "patch_size": 14,
        },
        "llm_config": {
            "architectures": [language.architecture],
            "vocab_size": language.vocabulary + NEW_TOKENS,
            "hidden_size": language.hidden,
            "intermediate_size": language.mlp,
            "num_hidden_layers": language.layers,
            "num_attention_heads": language.heads,
            "num_key_value_heads": language.groups,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-5 if intern else 1e-6,
            "max_position_embeddings": 32768,
            "rope_theta": language.theta,
            "rope_scaling": {"type": "dynamic", "factor": 2.0} if intern else None,
            "bias": False,
            "use_sliding_window": False,
        },
    }
