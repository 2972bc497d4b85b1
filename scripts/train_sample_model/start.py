"""A network with values to start from: the libraries' own, where they suit a small model."""

from pathlib import Path

import torch
from torch import nn

from scripts.train_sample_model.sizes import config_values
from scripts.train_sample_model.words import write_tokenizer
from submission.models.sa2va.internvl.config import Sa2VAConfig, parse_config
from submission.models.sa2va.network import Network
from submission.models.sa2va.tokenizer import Tokenizer, load_tokenizer

POSITION_SPREAD = 0.1  # of the vision encoder's position embeddings
MEMORY_SCALE = 0.1  # of the memory encoder's residual blocks; the library's 1e-6 learns slowly
SMALL = 0.02


def start(folder: Path, seed: int) -> tuple[Network, Sa2VAConfig, Tokenizer]:
    """Write the tokenizer into `folder` and draw a network that fits it, ready for training."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = write_tokenizer(folder)
    config = parse_config(config_values(vocabulary), has_tuned_decoder=True)
    torch.manual_seed(seed)
    network = Network(config).eval()  # evaluation mode: as the kit runs it, no dropout
    network.language.lm_head.weight = network.language.model.embed_tokens.weight  # tied
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            _settle(name, parameter)
    return network, config, load_tokenizer(folder)


def _settle(name: str, parameter: nn.Parameter) -> None:
    if name.endswith(("lambda_1", "lambda_2")):
        parameter.fill_(1.0)
    elif name.endswith("position_embeddings"):
        parameter.normal_(std=POSITION_SPREAD)
    elif name.endswith("fuser.layers.0.gamma") or name.endswith("fuser.layers.1.gamma"):
        parameter.fill_(MEMORY_SCALE)
    elif name.startswith("grounding.") and name.count(".") == 1:
        parameter.normal_(std=SMALL)  # SAM 2's free-standing vectors, which the kit leaves unset
