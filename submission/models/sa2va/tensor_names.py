"""Which tensor of a released checkpoint each parameter of the network is; `*` is a layer number.

What all backbones share stands here; each has a table of its own beside its config.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from submission.models.sa2va.network import Speaker

GROUNDING = "grounding_encoder.sam2_model."
TUNED_DECODER = f"{GROUNDING}sam_mask_decoder_modified."  # only in Sa2VA-i checkpoints
TRACKING_DECODER = f"{GROUNDING}sam_mask_decoder."

# Our name or its beginning -> the checkpoint's; the longest beginning that fits decides.
_SHARED = {
    "seg_projector": "text_hidden_fcs",
    "grounding": GROUNDING.rstrip("."),
    # Loading code of an older library rewrites any "gamma", so the authors renamed these two.
    "grounding.memory_encoder.fuser.layers.*.gamma": (
        f"{GROUNDING}memory_encoder.fuser.layers.*.g_weight"
    ),
}

Rows = Callable[[Tensor], Tensor]
FindRows = Callable[[str, str], Rows | None]  # our name and the checkpoint's


@dataclass(frozen=True)
class Source:
    """Where a parameter's values lie: a checkpoint tensor, and of a fused one which rows."""

    key: str
    rows: Rows | None = None


def find_sources(
    network: Speaker, names: Mapping[str, str], find_rows: FindRows = lambda name, key: None
) -> dict[str, Source]:
    """Map every parameter and stored buffer to its place, by a backbone's own table of names."""
    patterns = [
        (re.compile(re.escape(ours).replace(r"\*", r"(\d+)") + r"(\..+)?"), theirs)
        for ours, theirs in sorted((_SHARED | dict(names)).items(), key=lambda pair: -len(pair[0]))
    ]
    keys = {name: _key(name, patterns) for name in network.state_dict()}
    return {name: Source(key, find_rows(name, key)) for name, key in keys.items()}


def expected_shapes(network: Speaker, sources: Mapping[str, Source]) -> dict[str, tuple[int, ...]]:
    """Names and shapes that a checkpoint with these sources must have, fused tensors whole."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, value in network.state_dict().items():
        if name not in sources:
            continue
        key, shape = sources[name].key, tuple(value.shape)
        is_part = sources[name].rows is not None and key in shapes
        shapes[key] = (shapes[key][0] + shape[0], *shape[1:]) if is_part else shape
    return shapes


def _key(name: str, patterns: list[tuple[re.Pattern[str], str]]) -> str:
    for pattern, theirs in patterns:
        match = pattern.fullmatch(name)
        if match:
            *layers, rest = match.groups()
            return (theirs.replace("*", layers[0]) if layers else theirs) + (rest or "")
    raise AssertionError(f"no checkpoint name for {name}")
