"""The whole network, laid out from its configuration and without weights.

Its parameters are laid out on the meta device, where they cost no memory: so a 26B checkpoint is
loaded tensor by tensor, and true shapes are tested on a laptop. Tables that are computed and not
stored (rotary frequencies, position encodings) are real from the start.
"""

from typing import Protocol
from unittest.mock import patch

import torch
from torch import nn
from transformers import PreTrainedModel

from submission.models.meta import parameters_on_meta
from submission.models.sam2.network import GroundingNetwork
from submission.models.sam2.sizes import GroundingConfig


class Config(Protocol):
    """What the network's construction needs to know; each backbone reads its own."""

    grounding: GroundingConfig
    has_tuned_decoder: bool  # Sa2VA-i: a second, fine-tuned mask decoder for prompted frames
    tie_word_embeddings: bool  # the input embedding doubles as the output layer

    def modules(self) -> tuple[nn.Module, PreTrainedModel]:
        """Build the vision encoder and the language model, with random values."""


class Network(nn.Module):
    """Sa2VA's organs side by side; they are joined in model.py."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.vision, self.language = config.modules()
        self.seg_projector = seg_projector(
            self.language.config.hidden_size, config.grounding.hidden_size
        )
        self.grounding = GroundingNetwork(
            config.grounding, has_tuned_decoder=config.has_tuned_decoder
        )


def seg_projector(size: int, prompt: int) -> nn.Sequential:
    """What turns a [SEG]'s state of the language model's `size` into a prompt for SAM 2."""
    return nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, prompt))


def lay_out(config: Config) -> Network:
    """Return the network without values: names and shapes of parameters, and computed tables."""
    # Where there is a GPU, SAM 2 puts its rotary tables on the first one, whatever is asked.
    with parameters_on_meta(), patch.object(torch.cuda, "is_available", return_value=False):
        return Network(config).eval().requires_grad_(False)
