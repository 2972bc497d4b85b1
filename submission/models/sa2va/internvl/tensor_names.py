"""Which tensor of a released checkpoint each parameter of InternVL and its language model is.

Names of modules differ between the public code and the libraries this network is built from, and
some tensors are stored fused. The tables below are the whole difference; `*` is a layer number.
"""

import re

from torch import Tensor

from submission.models.sa2va.internvl.config import Sa2VAConfig
from submission.models.sa2va.network import Network
from submission.models.sa2va.tensor_names import Rows, Source, find_sources

# Our name or its beginning -> the checkpoint's.
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


def tensor_sources(network: Network, config: Sa2VAConfig) -> dict[str, Source]:
    """Map every parameter and stored buffer of the network to its place in a checkpoint."""
    fused = config.llm_architecture == "InternLM2ForCausalLM"
    names = _NAMES | (_INTERNLM2_NAMES if fused else {})
    return find_sources(network, names, lambda name, key: _rows(name, key, config))


def _rows(name: str, key: str, config: Sa2VAConfig) -> Rows | None:
    part = re.search(r"\.([qkv])_proj\.", name)
    if part and ".attn.qkv." in key:
        return _block_rows(part[1])
    if part and ".wqkv." in key:
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
