"""The tensors that the reference stores for each released size."""

from models.cases import REFERENCE

from submission.cost.released import INTERN, NEW_TOKENS, RELEASED, Language, Vision, config_json

__all__ = ["RELEASED", "Shapes", "config_json", "stored_shapes"]

PATCHES = 448 // 14  # along a side of what the vision encoder reads
Shapes = dict[str, tuple[int, ...]]


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
