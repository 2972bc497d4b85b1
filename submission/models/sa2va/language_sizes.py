"""The sizes of a language model that decide its cost, as every backbone states them; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LanguageSizes:
    """Llama (InternLM2), Qwen2 or Qwen3."""

    width: int
    layers: int
    groups: int  # key/value heads
    head: int  # width of a head
    mlp: int
    vocabulary: int
    least_layers: int = 1  # from which on each layer is like the one before

    @classmethod
    def parse(cls, values: Mapping[str, Any], least_layers: int = 1) -> "LanguageSizes":
        """Read llm_config or text_config; raise KeyError for a size that is missing."""
        width, heads = values["hidden_size"], values["num_attention_heads"]
        return cls(
            width=width, layers=values["num_hidden_layers"],
            groups=values["num_key_value_heads"], head=values.get("head_dim") or width // heads,
            mlp=values["intermediate_size"], vocabulary=values["vocab_size"],
            least_layers=least_layers,
        )  # fmt: skip
