"""Write a trained network as a checkpoint in the released layout, with the record of its training.

The guides are left out; what remains is what `submission.models.load` opens without a special case.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from submission.files.whole import write_bytes, write_json
from submission.models.sa2va.internvl.config import Sa2VAConfig
from submission.models.sa2va.internvl.tensor_names import tensor_sources
from submission.models.sa2va.network import Network
from submission.models.weight_files import SINGLE_FILE

DTYPE = torch.float16  # ten bits of mantissa in half the space; values stay far below 65504
OUTPUT_LAYER = "language.lm_head.weight"  # tied to the input embedding, which is stored


def export(
    folder: Path, network: Network, config: Sa2VAConfig, values: Mapping[str, Any],
    record: Mapping[str, Any],
) -> int:  # fmt: skip
    """Write weights, config.json and training.json beside the tokenizer; return bytes of weights.

    Raises ArithmeticError when a value does not fit float16.
    """
    tensors = {key: value.to(DTYPE) for key, value in stored_tensors(network, config).items()}
    broken = [key for key, value in tensors.items() if not value.isfinite().all()]
    if broken:
        raise ArithmeticError(f"values beyond float16 in {', '.join(sorted(broken))}")
    write_json(folder / "config.json", values)
    write_json(folder / "training.json", record)
    content = save(tensors, metadata={"format": "pt"})
    write_bytes(folder / SINGLE_FILE, content)
    return len(content)


def stored_tensors(network: Network, config: Sa2VAConfig) -> dict[str, Tensor]:
    """The network's values under the names of a released checkpoint, fused where that one fuses."""
    parts: dict[str, list[tuple[str, Tensor]]] = {}
    state = network.state_dict()
    for name, source in tensor_sources(network, config).items():
        if name == OUTPUT_LAYER and config.tie_word_embeddings:
            continue
        parts.setdefault(source.key, []).append((name, state[name].detach()))
    return {key: _joined(own).contiguous().clone() for key, own in parts.items()}


def _joined(parts: list[tuple[str, Tensor]]) -> Tensor:
    # Parts of a fused tensor are the vision encoder's queries, keys and values, in this order.
    if len(parts) == 1:
        return parts[0][1]
    by_kind = {kind: value for kind in "qkv" for name, value in parts if f".{kind}_proj." in name}
    assert len(by_kind) == len(parts) == 3, [name for name, _ in parts]
    return torch.cat([by_kind[kind] for kind in "qkv"])
