"""Which tensor of a released checkpoint each parameter of the network is.

Names of modules differ between the public code and the libraries this network is built from, and
some tensors are stored fused. The tables below are the whole difference; `*` is a layer number.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from submission.models.sa2va.internvl.config import Sa2VAConfig
from submission.models.sa2va.network import Network

GROUNDING = "grounding_encoder.sam2_model."
TUNED_DECODER = f"{GROUNDING}sam_mask_decoder_modified."  # only in Sa2VA-i checkpoints
TRACKING_DECODER = f"{GROUNDING}sam_mask_decoder."

# Our name or its beginning -> the checkpoint's; the longest beginning that fits decides.
_NAMES = {
    "vision.encoder.embeddings.cls_token": "vision_model.embeddings.class_embedding",
    "vision.encoder.embeddings.position_embeddings": "vision_model.embeddings.position_embedding",
    "vision.encoder.embeddings.patch_embeddings.projection": (
        "vision_model.embeddings.patch_embedding"
    ),
    "vision.encoder.encoder.layer.*.lambda_1": "vision_model.encoder.layers.*.ls1",
    "vision.encoder.encoder.layer.*.lambda_2": "vision_model.encoder.layers.*.ls2",
    "vision.encoder.encoder.layer.*.layernorm_before": "vision_model.encoder.layers.*.norm1",
    "vision.encoder.encoder.layer.*.layernorm_after": "vision_model.encoder.layers.*.norm2",
    "vision.encoder.encoder.layer.*.mlp": "vision_model.encoder.layers.*.mlp",
    "vision.encoder.encoder.layer.*.attention.projection_layer": (
        "vision_model.encoder.layers.*.attn.proj"
    ),
    "vision.encoder.encoder.layer.*.attention.q_norm": "vision_model.encoder.layers.*.attn.q_norm",
    "vision.encoder.encoder.layer.*.attention.k_norm": "vision_model.encoder.layers.*.attn.k_norm",
    "vision.encoder.encoder.layer.*.attention.q_proj": "vision_model.encoder.layers.*.attn.qkv",
    "vision.encoder.encoder.layer.*.attention.k_proj": "vision_model.encoder.layers.*.attn.qkv",
    "vision.encoder.encoder.layer.*.attention.v_proj": "vision_model.encoder.layers.*.attn.qkv",
    "vision.projector": "mlp1",
    "language": "language_model",
    "seg_projector": "text_hidden_fcs",
    "grounding": GROUNDING.rstrip("."),
    # Loading code of an older library rewrites any "gamma", so the authors renamed these two.
    "grounding.memory_encoder.fuser.layers.*.gamma": (
        f"{GROUNDING}memory_encoder.fuser.layers.*.g_weight"
    ),
}
_LAYER, _STORED = "language.model.layers.*.", "language_model.model.layers.*."
_INTERNLM2_NAMES = {
    "language.model.embed_tokens": "language_model.model.tok_embeddings",
    "language.lm_head": "language_model.output",
    f"{_LAYER}self_attn.q_proj": f"{_STORED}attention.wqkv",
    f"{_LAYER}self_attn.k_proj": f"{_STORED}attention.wqkv",
    f"{_LAYER}self_attn.v_proj": f"{_STORED}attention.wqkv",
    f"{_LAYER}self_attn.o_proj": f"{_STORED}attention.wo",
    f"{_LAYER}mlp.gate_proj": f"{_STORED}feed_forward.w1",
    f"{_LAYER}mlp.up_proj": f"{_STORED}feed_forward.w3",
    f"{_LAYER}mlp.down_proj": f"{_STORED}feed_forward.w2",
    f"{_LAYER}input_layernorm": f"{_STORED}attention_norm",
    f"{_LAYER}post_attention_layernorm": f"{_STORED}ffn_norm",
}

Rows = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Source:
    """Where a parameter's values lie: a checkpoint tensor, and of a fused one which rows."""

    key: str
    rows: Rows | None = None


def tensor_sources(network: Network, config: Sa2VAConfig) -> dict[str, Source]:
    """Map every parameter and stored buffer of the network to its place in a checkpoint."""
    fused = config.llm_architecture == "InternLM2ForCausalLM"
    names = _NAMES | (_INTERNLM2_NAMES if fused else {})
    patterns = [
        (re.compile(re.escape(ours).replace(r"\*", r"(\d+)") + r"(\..+)?"), theirs)
        for ours, theirs in sorted(names.items(), key=lambda pair: -len(pair[0]))
    ]
    return {name: _source(name, patterns, config) for name in network.state_dict()}


def expected_shapes(network: Network, sources: Mapping[str, Source]) -> dict[str, tuple[int, ...]]:
    """Names and shapes that a checkpoint with these sources must have, fused tensors whole."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, value in network.state_dict().items():
        if name not in sources:
            continue
        key, shape = sources[name].key, tuple(value.shape)
        is_part = sources[name].rows is not None and key in shapes
        shapes[key] = (shapes[key][0] + shape[0], *shape[1:]) if is_part else shape
    return shapes


def _source(name: str, patterns: list[tuple[re.Pattern[str], str]], config: Sa2VAConfig) -> Source:
    for pattern, theirs in patterns:
        match = pattern.fullmatch(name)
        if match:
            *layers, rest = match.groups()
            key = theirs.replace("*", layers[0]) if layers else theirs
            return Source(key + (rest or ""), _rows(name, key, config))
    raise AssertionError(f"no checkpoint name for {name}")


def _rows(name: str, key: str, config: Sa2VAConfig) -> Rows | None:
    part = re.search(r"\.([qkv])_proj\.", name)
    if part and key.endswith(".attn.qkv"):
        return _block_rows(part[1])
    if part and key.endswith(".wqkv"):
        return _grouped_rows(
            part[1], config.llm.num_attention_heads, config.llm.num_key_value_heads
        )
    return None


def _block_rows(part: str) -> Rows:
    """InternViT: three blocks [q; k; v]."""
    return lambda fused: fused.chunk(3, dim=0)["qkv".index(part)]


def _grouped_rows(part: str, heads: int, groups: int) -> Rows:
    """InternLM2: for each key/value head first its query heads, then its key, then its value."""
    queries = heads // groups
    slots = {"q": slice(queries), "k": slice(queries, queries + 1), "v": slice(queries + 1, None)}

    def take(fused: Tensor) -> Tensor:
        head_size = fused.shape[0] // (groups * (queries + 2))
        split = fused.view(groups, queries + 2, head_size, *fused.shape[1:])
        return split[:, slots[part]].reshape(-1, *fused.shape[1:])

    return take
