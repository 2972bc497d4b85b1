"""Attention of several tokens behind a prefix to grouped heads, without repeating keys and values.

torch's fused kernels take a mask or grouped heads, not both, so the library repeats the keys and
values of every head that others share, of the whole prefix, in every layer and step of an answer.
Queries that share a head can as well stand one behind the other before it, each with the same row
of the mask. A CPU keeps the library's way, and with it its last bits.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.modeling_utils import PreTrainedModel

NAME = "sdpa_grouped"  # as the library knows it from here on


def group_heads(language: PreTrainedModel) -> None:
    """Let a language model attend so wherever it has a mask and heads share keys."""
    language.config._attn_implementation = NAME


def attend_in_groups(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    scaling: float | None = None, **named: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Attend as the library's "sdpa" does, up to rounding.

    `query` is (1, heads, n, C), `key` and `value` (1, groups, N, C), the mask (1, 1, n, N) bool.
    Returns (1, n, heads, C).
    """
    _, heads, tokens, width = query.shape
    groups = key.shape[1]
    shared = heads // groups
    if attention_mask is None or shared == 1 or tokens == 1:
        found, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **named
        )
        return found, None
    rows = query.reshape(1, groups, shared * tokens, width)
    mask = attention_mask.repeat(1, 1, shared, 1)
    seen = F.scaled_dot_product_attention(rows, key, value, attn_mask=mask, scale=scaling)
    return seen.reshape(1, heads, tokens, -1).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, attend_in_groups)
AttentionMaskInterface.register(NAME, sdpa_mask)
