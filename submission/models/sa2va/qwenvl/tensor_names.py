"""Which tensor of a released checkpoint each parameter of Qwen-VL is: the library's own names."""

from submission.models.sa2va.network import Network
from submission.models.sa2va.qwenvl.config import QwenVLConfig
from submission.models.sa2va.tensor_names import Source, find_sources

NAMES = {
    "vision": "model.model.visual",
    "language.model": "model.model.language_model",
    "language.lm_head": "model.lm_head",
    "language.lm_head.norm": "model.model.language_model.norm",
}


def tensor_sources(network: Network, config: QwenVLConfig) -> dict[str, Source]:
    """Map every parameter and stored buffer of the network to its place in a checkpoint."""
    return find_sources(network, NAMES)
