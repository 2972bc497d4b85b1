"""Which tensor of a released checkpoint each parameter of Qwen-VL is: the library's own names."""

from collections.abc import Collection

from submission.models.sa2va.network import Network, Speaker
from submission.models.sa2va.qwenvl.config import QwenVLConfig
from submission.models.sa2va.tensor_names import Source, find_sources

NAMES = {
    "vision": "model.model.visual",
    "language.model": "model.model.language_model",
    "language.lm_head": "model.lm_head",
    "language.lm_head.norm": "model.model.language_model.norm",
}
# The plain model, as newer and as older versions of the library write it.
PLAIN = {name: key.removeprefix("model.") for name, key in NAMES.items()}
OLD_PLAIN = {
    name: key.removeprefix("model.").replace("model.language_model", "model").replace(
        "model.visual", "visual"
    )
    for name, key in NAMES.items()
}  # fmt: skip


def tensor_sources(network: Network, config: QwenVLConfig) -> dict[str, Source]:
    """Map every parameter and stored buffer of the network to its place in a checkpoint."""
    return find_sources(network, NAMES)


def plain_sources(network: Speaker, keys: Collection[str]) -> dict[str, Source]:
    """Map every parameter of a plain Qwen-VL to its place, told by the stored names."""
    is_old = any(key.startswith(f"{OLD_PLAIN['vision']}.") for key in keys)
    return find_sources(network, OLD_PLAIN if is_old else PLAIN)
