"""The real network without values."""

import json
from typing import Any

import torch

from submission.models.checkpoint import move_tables
from submission.models.counting import META, empty
from submission.models.live_bytes import live_bytes
from submission.models.sa2va.internvl.config import parse_config
from submission.models.sa2va.network import Network, lay_out
from submission.recipes.find import PACKAGED

__all__ = ["META", "SMALL", "empty", "live_bytes", "without_values"]

SMALL = json.loads((PACKAGED.parent / "samples/small-5/config.json").read_text())


def without_values(config: dict[str, Any]) -> Network:
    """Lay out a network in bfloat16 on the meta device: shapes are true, nothing is computed."""
    # Dynamic scaling looks at positions, which have no values here; it is idle in short prompts.
    values = {**config, "llm_config": {**config["llm_config"], "rope_scaling": None}}
    network = lay_out(parse_config(values, has_tuned_decoder=True))
    for parameter in network.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    move_tables(network, META)
    return network
