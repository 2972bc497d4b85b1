"""Pack a small part of the recorded reference into tests/reference, for everybody's tests.

`python -m scripts.pack_reference.sa2va RECORD TENSORS`, where RECORD is a folder as described in
tests/reference/README.md and TENSORS a list of SAM 2's tensors, one "name<tab>shape" to a line.
What is left out for size is tested where RECORD itself lies.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from scripts.pack_reference import OUT
from submission.models.sa2va.internvl.config import parse_config
from submission.models.sa2va.internvl.tensor_names import tensor_sources
from submission.models.sa2va.network import lay_out
from submission.models.sa2va.tensor_names import GROUNDING, expected_shapes

LIMIT = 10_000_000  # bytes, all files together

# Sa2VA's only decoder is the fine-tuned one of Sa2VA-i: one checkpoint does for both procedures.
MODELS = {"tiny_qwen2": "tiny_qwen2", "tiny_internlm2": "tiny_internlm2_i",
          "tiny_internlm2_i": "tiny_internlm2_i"}  # fmt: skip
SMALL_SAM2 = {
    "image_size": 64,
    "hidden_size": 64,
    "memory_size": 16,
    "memory_layers": 1,
    "memory_ffn": 32,
    "decoder_ffn": 32,
    "iou_head_size": 32,
    "hiera": {
        "embed_dim": 8,
        "num_heads": 1,
        "stages": [1, 1, 2, 1],
        "global_att_blocks": [3],
        "window_pos_embed_bkg_spatial_size": [7, 7],
        "window_spec": [8, 4, 16, 8],
    },
}

# Stage -> how many rows are kept (None: all).
LANGUAGE = {"input_ids": None, "output_ids": None, "vit_last_hidden": 1, "vit_embeds": None,
            "llm_hidden_all": None, "llm_logits_steps": None, "seg_hidden": None,
            "language_embd": None}  # fmt: skip
MASKS = {"input_ids": None, "output_ids": None, "language_embd": None, "frame_low_res": None,
         "final_masks": None}  # fmt: skip
ORGANS = {"prompt_low_res": None, "prompt_masks_bool": 2, "maskmem_pos_enc": None,
          "mem_conditioned_feat": 2, "final_logits": 1, "sam.fpn1": None, "sam.fpn2": None,
          "state0": None}  # fmt: skip
CASES: dict[str, dict[str, int | None]] = {
    "qwen2_uniform5": LANGUAGE | {"pixel_values": 1},
    "internlm2_first5": LANGUAGE | MASKS | ORGANS | {"prompt_low_res_multi": 2},
    "internlm2_uniform5": MASKS,
    "sa2vai_internlm2_u5": MASKS | ORGANS | {"sam.fpn0": None},
}


def main() -> int:
    """Write tests/reference anew, but for its README; return 1 when it became too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("tensors", type=Path)
    arguments = parser.parse_args()
    for name in sorted(set(MODELS.values())):
        pack_model(arguments.record / "models" / name, OUT / "models" / name)
    for name, stages in CASES.items():
        pack_case(arguments.record / name, OUT / name, stages)
    shutil.copy(arguments.record / "qwen2_uniform5" / "frames.npz", OUT)
    shutil.copy(arguments.record / "prompts.json", OUT)
    lines = arguments.tensors.read_text().splitlines()
    tensors = [f"{line}\n" for line in lines if not line.startswith("#")]
    (OUT / "sam2_tensors.txt").write_text("".join(tensors))
    total = sum(path.stat().st_size for path in OUT.rglob("*") if path.is_file())
    print(f"{OUT}: {total / 1e6:.1f} MB")
    return 0 if total <= LIMIT else 1


def pack_model(source: Path, target: Path) -> None:
    """Copy a checkpoint; of tiny_qwen2 the part up to the language embeddings."""
    target.mkdir(parents=True, exist_ok=True)
    for path in [*source.glob("tokenizer*"), *source.glob("special_tokens*")]:
        shutil.copy(path, target)
    config = json.loads((source / "config.json").read_text())
    tensors = load_file(source / "model.safetensors")
    if target.name == "tiny_qwen2":
        del config["sam2_tiny"]
        config["grounding_config"] = SMALL_SAM2
        tensors = with_small_sam2(tensors, config)
    exact = {key: value.to(torch.bfloat16) for key, value in tensors.items()}
    assert all(torch.equal(exact[key].to(value.dtype), value) for key, value in tensors.items())
    (target / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(exact, target / "model.safetensors", metadata={"format": "pt"})


def with_small_sam2(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Put random values of a smaller SAM 2 in place of the recorded one."""
    settings = parse_config(config, has_tuned_decoder=False)
    network = lay_out(settings)
    shapes = expected_shapes(network, tensor_sources(network, settings))
    generator = torch.Generator().manual_seed(0)
    kept = {key: value for key, value in tensors.items() if not key.startswith(GROUNDING)}
    drawn = {
        key: draw(key, shape, lambda *size: torch.randn(*size, generator=generator))
        for key, shape in sorted(shapes.items())
        if key.startswith(GROUNDING)
    }
    return kept | drawn


def draw(key: str, shape: tuple[int, ...], normal: Callable[..., Tensor]) -> Tensor:
    """Random values that keep activations near one, exact in bfloat16."""
    if len(shape) > 1:
        values = normal(*shape) / torch.tensor(shape[1:]).prod().sqrt()
    else:
        values = 0.1 * normal(*shape) + (1 if key.endswith("weight") else 0)
    return values.to(torch.bfloat16).float()


def pack_case(source: Path, target: Path, stages: Mapping[str, int | None]) -> None:
    """Copy a case's description and the chosen rows of the chosen stages."""
    target.mkdir(exist_ok=True)
    record = json.loads((source / "case.json").read_text())
    record["model"] = MODELS[record["model"]]
    for timing in ("seconds", "total_seconds", "calls", "forward_image_batches"):
        del record[timing]
    (target / "case.json").write_text(json.dumps(record) + "\n")
    kept: dict[str, Tensor] = {}
    for key, value in load_file(source / "intermediates.safetensors").items():
        stage = next((stage for stage in stages if is_part(key, stage)), None)
        if stage is not None:
            kept[key] = value[: stages[stage]].contiguous()
    save_file(kept, target / "intermediates.safetensors")


def is_part(key: str, stage: str) -> bool:
    """Tell whether a tensor is the stage's, or one frame's or decoder's of it."""
    return key == stage or key.startswith((f"{stage}.", f"{stage}_std", f"{stage}_modified"))


if __name__ == "__main__":
    sys.exit(main())
