"""The whole network, laid out from its configuration and without weights.

Its parameters are laid out on the meta device, where they cost no memory: so a 26B checkpoint is
loaded tensor by tensor, and true shapes are tested on a laptop. Tables that are computed and not
stored (rotary frequencies, position encodings) are real from the start.
"""

from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from transformers import LlamaForCausalLM, PreTrainedModel, Qwen2ForCausalLM, Qwen3ForCausalLM

from submission.models.sa2va.internvl.config import Sa2VAConfig
from submission.models.sa2va.internvl.vision import VisionTokenizer
from submission.models.sam2.network import GroundingNetwork

LLM_CLASSES: dict[str, type[PreTrainedModel]] = {
    "InternLM2ForCausalLM": LlamaForCausalLM,
    "Qwen2ForCausalLM": Qwen2ForCausalLM,
    "Qwen3ForCausalLM": Qwen3ForCausalLM,
}


class Network(nn.Module):
    """Sa2VA's organs side by side; they are joined in sa2va.py."""

    def __init__(self, config: Sa2VAConfig) -> None:
        super().__init__()
        size = config.llm.hidden_size
        # "sdpa" is the one attention of transformers that takes our packed mask on every device.
        config.llm._attn_implementation = "sdpa"
        config.vision._attn_implementation = "sdpa"
        self.vision = VisionTokenizer(config.vision, size)
        self.language = LLM_CLASSES[config.llm_architecture](config.llm)
        self.seg_projector = nn.Sequential(
            nn.Linear(size, size), nn.ReLU(), nn.Linear(size, config.grounding.hidden_size)
        )
        self.grounding = GroundingNetwork(
            config.grounding, has_tuned_decoder=config.has_tuned_decoder
        )


def lay_out(config: Sa2VAConfig) -> Network:
    """Return the network without values: names and shapes of parameters, and computed tables."""
    # A hook on parameters instead of `torch.device("meta")`, because SAM 2 and the language models
    # compute tables while they are built.
    hook = register_module_parameter_registration_hook(_move_to_meta)
    try:
        # Where there is a GPU, SAM 2 puts its rotary tables on the first one, whatever is asked.
        with patch.object(torch.cuda, "is_available", return_value=False):
            return Network(config).eval().requires_grad_(False)
    finally:
        hook.remove()


def _move_to_meta(module: nn.Module, name: str, parameter: nn.Parameter) -> Any:
    return nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)
