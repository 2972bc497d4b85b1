"""The whole network, laid out from its configuration and without weights.

Its parameters are laid out on the meta device, where they cost no memory: so a 26B checkpoint is
loaded tensor by tensor, and true shapes are tested on a laptop. Tables that are computed and not
stored (rotary frequencies, position encodings) are real from the start.
"""

from typing import Protocol, TypeVar
from unittest.mock import patch

import torch
from torch import nn
from transformers import PreTrainedModel

from submission.models.meta import parameters_on_meta
from submission.models.sam2.network import GroundingNetwork
from submission.models.sam2.sizes import GroundingConfig

Laid = TypeVar("Laid", bound="Speaker")


class Config(Protocol):
    """What the network's construction needs to know; each backbone reads its own."""

    @property
    def grounding(self) -> GroundingConfig:
        """Sizes of SAM 2."""

    @property
    def has_tuned_decoder(self) -> bool:
        """Sa2VA-i: a second, fine-tuned mask decoder for prompted frames."""

    @property
    def tie_word_embeddings(self) -> bool:
        """Whether the input embedding doubles as the output layer."""

    def modules(self) -> tuple[nn.Module, PreTrainedModel]:
        """Build the vision encoder and the language model, with random values."""


class Speaker(nn.Module):
    """A vision-language model alone: what sees and speaks, without a projector and SAM 2."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.vision, self.language = config.modules()


class Network(Speaker):
    """Sa2VA's organs side by side; they are joined in model.py."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
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
    return _lay_out(Network, config)


def lay_out_speaker(config: Config) -> Speaker:
    """Return the same of the vision-language model alone."""
    return _lay_out(Speaker, config)


def _lay_out(kind: type[Laid], config: Config) -> Laid:
    # Where there is a GPU, SAM 2 puts its rotary tables on the first one, whatever is asked.
    with parameters_on_meta(), patch.object(torch.cuda, "is_available", return_value=False):
        return kind(config).eval().requires_grad_(False)
