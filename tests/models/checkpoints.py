"""Make checkpoint folders for tests: copy a small one, change it, cut it into shards."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from models.cases import REFERENCE
from safetensors.torch import load_file, save_file
from torch import Tensor

TINY = REFERENCE / "models" / "tiny_qwen2"
TINY_I = REFERENCE / "models" / "tiny_internlm2_i"
SAM2 = "grounding_encoder.sam2_model."
TUNED, ORIGINAL = f"{SAM2}sam_mask_decoder_modified.", f"{SAM2}sam_mask_decoder."
Change = Callable[[dict[str, Any], dict[str, Tensor]], None]


def copy_checkpoint(source: Path, target: Path, change: Change | None = None) -> Path:
    """Copy a checkpoint folder; `change` may edit its config and its tensors on the way."""
    shutil.copytree(source, target)
    if change is not None:
        config = json.loads((target / "config.json").read_text())
        tensors = load_file(target / "model.safetensors")
        change(config, tensors)
        (target / "config.json").write_text(json.dumps(config))
        save_file(tensors, target / "model.safetensors")
    return target


def shard(folder: Path, count: int) -> None:
    """Cut a checkpoint's only file into `count` shards with an index."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    weight_map = {key: names[i % count] for i, key in enumerate(sorted(tensors))}
    for name in names:
        part = {key: value for key, value in tensors.items() if weight_map[key] == name}
        save_file(part, folder / name)
    write_index(folder, weight_map)


def write_index(folder: Path, weight_map: Mapping[str, Any]) -> None:
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def random_values(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Random bfloat16 tensors that keep activations near one."""
    generator = torch.Generator().manual_seed(seed)
    values: dict[str, Tensor] = {}
    for key, shape in shapes.items():
        drawn = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            drawn = drawn / torch.tensor(shape[1:]).prod().sqrt()
        else:
            drawn = 0.1 * drawn + (1 if key.endswith("weight") else 0)
        values[key] = drawn.to(torch.bfloat16)
    return values


def original_sam2() -> dict[str, Tensor]:
    """What Meta's file holds, as far as it matters: the untouched decoder and other organs."""
    tensors = load_file(TINY_I / "model.safetensors")
    decoder = {
        key.removeprefix(SAM2): value.float()
        for key, value in tensors.items()
        if key.startswith(ORIGINAL)
    }
    return decoder | {"image_encoder.neck.convs.0.conv.bias": torch.zeros(3)}


def with_one_decoder(target: Path) -> Path:
    """Copy the Sa2VA checkpoint from which tiny_internlm2_i was made: only the tuned decoder."""

    def undo(config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        for key in [key for key in tensors if key.startswith(ORIGINAL)]:
            tensors[key] = tensors.pop(key.replace(ORIGINAL, TUNED))

    return copy_checkpoint(TINY_I, target, undo)
