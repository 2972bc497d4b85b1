"""The language model with its final norm set apart, so that a [SEG]'s state is had before it."""

from typing import Any

from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

Norm = nn.Module


class NormedHead(nn.Linear):
    """The output layer behind the final norm."""

    def __init__(self, norm: Norm, size: int, vocabulary: int) -> None:
        super().__init__(size, vocabulary, bias=False)
        self.norm = norm

    def forward(self, states: Tensor) -> Tensor:
        """Turn the last layer's states (n, C) into logits (n, V)."""
        return super().forward(self.norm(states))


class Language(PreTrainedModel):  # type: ignore[no-untyped-call]
    """Qwen2.5-VL's or Qwen3-VL's decoder; `model` gives the last layer's states as they are."""

    _supports_sdpa = True

    def __init__(self, config: PretrainedConfig, model: Any) -> None:
        super().__init__(config)
        norm, model.norm = model.norm, nn.Identity()
        self.model = model
        self.lm_head = NormedHead(norm, config.hidden_size, config.vocab_size)
