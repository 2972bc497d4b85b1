"""The sizes of the released checkpoints, and the tensors that the reference stores for them."""

from dataclasses import dataclass
from typing import Any

from model.cases import REFERENCE

NEW_TOKENS = 5  # [SEG] <p> </p> <vp> </vp>, added to the vocabularies below
PATCHES = 448 // 14  # along a side of what the vision encoder reads
QWEN, INTERN = "Qwen2ForCausalLM", "InternLM2ForCausalLM"
Shapes = dict[str, tuple[int, ...]]


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


def config_json(name: str) -> dict[str, Any]:
    """The content of config.json, as far as it is read; SAM 2's sizes are not in it."""
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


def stored_shapes(name: str) -> Shapes:
    """Every tensor of a released checkpoint and its shape, in the reference's names."""
    vision, language, tuned = RELEASED[name]
    shapes = _vision_shapes(vision) | _joint_shapes(vision, language)
    shapes |= (
        _intern_shapes(language) if language.architecture == INTERN else _qwen_shapes(language)
    )
    for line in (REFERENCE / "sam2_tensors.txt").read_text().splitlines():
        key, _, shape = line.partition("\t")
        if tuned or ".sam_mask_decoder_modified." not in key:
            shapes[key] = tuple(int(size) for size in shape.strip("()").split(",") if size.strip())
    return shapes


def _vision_shapes(vision: Vision) -> Shapes:
    d = vision.hidden
    shapes: Shapes = {
        "vision_model.embeddings.class_embedding": (1, 1, d),
        "vision_model.embeddings.patch_embedding.weight": (d, 3, 14, 14),
        "vision_model.embeddings.patch_embedding.bias": (d,),
        "vision_model.embeddings.position_embedding": (1, PATCHES**2 + 1, d),
    }
    for i in range(vision.layers):
        layer = f"vision_model.encoder.layers.{i}."
        shapes |= {
            f"{layer}attn.qkv.weight": (3 * d, d),
            **_linear(f"{layer}attn.proj", d, d),
            **_linear(f"{layer}mlp.fc1", vision.mlp, d),
            **_linear(f"{layer}mlp.fc2", d, vision.mlp),
            **{f"{layer}{part}": (d,) for part in ("norm1.weight", "norm2.weight", "ls1", "ls2")},
        }
        if vision.qkv_bias:
            shapes[f"{layer}attn.qkv.bias"] = (3 * d,)
        if vision.qk_norm:
            shapes |= {f"{layer}attn.{part}_norm.weight": (d,) for part in "qk"}
        if vision.norm == "layer_norm":
            shapes |= {f"{layer}norm1.bias": (d,), f"{layer}norm2.bias": (d,)}
    return shapes


def _joint_shapes(vision: Vision, language: Language) -> Shapes:
    d, c = vision.hidden, language.hidden
    return {
        "mlp1.0.weight": (4 * d,),
        "mlp1.0.bias": (4 * d,),
        **_linear("mlp1.1", c, 4 * d),
        **_linear("mlp1.3", c, c),
        **_linear("text_hidden_fcs.0", c, c),
        **_linear("text_hidden_fcs.2", 256, c),
    }


def _qwen_shapes(language: Language) -> Shapes:
    c, kv = language.hidden, language.hidden // language.heads * language.groups
    vocabulary = language.vocabulary + NEW_TOKENS
    shapes: Shapes = {
        "language_model.model.embed_tokens.weight": (vocabulary, c),
        "language_model.model.norm.weight": (c,),
        "language_model.lm_head.weight": (vocabulary, c),
    }
    for i in range(language.layers):
        layer = f"language_model.model.layers.{i}."
        shapes |= {
            **_linear(f"{layer}self_attn.q_proj", c, c),
            **_linear(f"{layer}self_attn.k_proj", kv, c),
            **_linear(f"{layer}self_attn.v_proj", kv, c),
            f"{layer}self_attn.o_proj.weight": (c, c),
            f"{layer}mlp.gate_proj.weight": (language.mlp, c),
            f"{layer}mlp.up_proj.weight": (language.mlp, c),
            f"{layer}mlp.down_proj.weight": (c, language.mlp),
            f"{layer}input_layernorm.weight": (c,),
            f"{layer}post_attention_layernorm.weight": (c,),
        }
    return shapes


def _intern_shapes(language: Language) -> Shapes:
    c, head = language.hidden, language.hidden // language.heads
    vocabulary = language.vocabulary + NEW_TOKENS
    shapes: Shapes = {
        "language_model.model.tok_embeddings.weight": (vocabulary, c),
        "language_model.model.norm.weight": (c,),
        "language_model.output.weight": (vocabulary, c),
    }
    for i in range(language.layers):
        layer = f"language_model.model.layers.{i}."
        shapes |= {
            f"{layer}attention.wqkv.weight": ((language.heads + 2 * language.groups) * head, c),
            f"{layer}attention.wo.weight": (c, c),
            f"{layer}feed_forward.w1.weight": (language.mlp, c),
            f"{layer}feed_forward.w2.weight": (c, language.mlp),
            f"{layer}feed_forward.w3.weight": (language.mlp, c),
            f"{layer}attention_norm.weight": (c,),
            f"{layer}ffn_norm.weight": (c,),
        }
    return shapes


def _linear(name: str, rows: int, columns: int) -> Shapes:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
