"""Recorded outputs of the public UNINEXT, and the weights that they were made with."""

import gzip
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from zlib import crc32

import numpy as np
import torch

from submission.models.uninext.config import (
    ConvnextSize,
    ResnetSize,
    TextSize,
    UninextConfig,
    VitSize,
    read_config,
)
from submission.models.uninext.loading import fill
from submission.models.uninext.model import Uninext
from submission.models.uninext.network import lay_out_network
from submission.models.uninext.tensor_names import tensor_names

SMALL = Path(__file__).parents[1] / "reference" / "uninext"
ORACLE = Path(
    os.environ.get("MEVIS_ORACLE", Path(__file__).parents[3] / "shared" / "oracle" / "sa2va")
).with_name("uninext")


def read_keys(size: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a whole released model, as its state dict has them."""
    shapes = {}
    with gzip.open(SMALL / f"keys_{size}.txt.gz", "rt") as lines:
        for line in lines:
            key, shape = line.split("\t")
            shapes[key] = tuple(int(one) for one in shape.strip().strip("()").split(",") if one)
    return shapes


def random_tensor(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The value of a tensor in the recorded cases, by its name in the checkpoint."""
    # A tensor that has two names was filled under the first.
    for part in ("class_embed", "bbox_embed"):
        key = key.replace(f"detr.detr.{part}.", f"detr.detr.transformer.decoder.{part}.")
    values = np.random.RandomState((crc32(key.encode()) ^ 11) & 0xFFFFFFFF)
    a = values.standard_normal(shape).astype(np.float32)
    scaled, shift = _scale(key, a)
    return torch.from_numpy(np.asarray(scaled + np.float32(shift), np.float32))


def _scale(key: str, a: np.ndarray) -> tuple[np.ndarray, float]:
    f = np.float32
    last = key.rpartition(".")[2]
    embedded = key.endswith((".weight.weight", ".bias.weight", ".gamma.weight"))
    if embedded and a.ndim == 2 and a.shape[0] == 1:
        kind = key.split(".")[-2]
        return {"weight": (a * f(0.05), 1), "bias": (a * f(0.02), 0), "gamma": (a * f(0.05), 0.3)}[
            kind
        ]
    if last == "running_var":
        return np.abs(a) * f(0.1), 1
    if last == "running_mean":
        return a * f(0.05), 0
    if last in ("gamma_v", "gamma_l"):
        return a * f(0.05), 0.4
    if last in ("log_scale", "bias0", "bias_lang"):
        return a * f(0.1), 0
    if key.endswith("sampling_offsets.weight"):
        return a * f(0.5 / np.sqrt(a.shape[1])), 0
    if key.endswith("sampling_offsets.bias"):
        return a * f(1.5), 0
    if "embeddings." in key and a.ndim == 2:
        return a * f(0.5), 0
    if last in ("rel_pos_h", "rel_pos_w"):
        return a * f(0.1), 0
    if a.ndim >= 2:
        return a * f(_gain(key) / np.sqrt(_fan(key, a.shape))), 0
    if last == "weight":
        factor = f(0.3) if key.endswith("conv3.norm.weight") else f(1)
        return (1 + a * f(0.05)) * factor, 0
    return a * f(0.02) * f(5 if key == "detr.controller.layers.2.bias" else 1), 0


def _gain(key: str) -> float:
    if key.startswith("detr.controller.layers.2."):
        return 0.12
    if ".dot_product_projection_text." in key:
        return 3.0
    if "bbox_embed" in key and ".layers.2." in key:
        return 0.5
    return 1.0


def _fan(key: str, shape: tuple[int, ...]) -> int:
    return shape[0] if key.endswith("fpn1.0.weight") else int(np.prod(shape[1:]))


# Sizes of the recorded cases: the two larger backbones in the small versions that the public code
# has for them, on the same transformer.
BACKBONES = {
    "r50_256x320": None,
    "convnext_tiny_250x331": ConvnextSize(depths=(3, 3, 9, 3), widths=(96, 192, 384, 768)),
    "vit_base_250x331": VitSize(
        width=768,
        depth=12,
        heads=12,
        feedforward=3072,
        patch=16,
        pretrained_side=224,
        side=1024,
        windowed=(0, 1, 3, 4, 6, 7, 9, 10),
    ),
}


def random_checkpoint(config: UninextConfig) -> dict[str, torch.Tensor]:
    """The needed tensors of a checkpoint of these sizes, with the values of the recorded cases."""
    network = lay_out_network(config)
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
    stored = {}
    for name, key in tensor_names(list(shapes), config).items():
        row = isinstance(config.backbone, ConvnextSize) and key.endswith(ROWS)
        stored[key] = random_tensor(key, (1, *shapes[name]) if row else shapes[name])
    return stored


# In ConvNeXt scales and norms are embeddings of one row.
ROWS = (".weight.weight", ".bias.weight", ".gamma.weight")


@dataclass(frozen=True)
class UninextCase:
    """One recorded frame and sentence, from a folder of records."""

    name: str
    folder: Path = SMALL

    @cached_property
    def recorded(self) -> dict[str, np.ndarray]:
        with np.load(self.folder / f"{self.name}.npz") as content:
            return dict(content)

    @property
    def image(self) -> np.ndarray:
        """uint8 RGB (h, w, 3), resized already."""
        return np.moveaxis(self.recorded["image"], 0, -1)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the original frame."""
        height, width = self.recorded["ori_size"].tolist()
        return height, width

    def model(self, *, with_text: bool) -> Uninext:
        """The model with the values of the record; without text its encoder is a small one."""
        config = read_config(read_keys("r50"), "the recorded names")
        if BACKBONES[self.name]:
            config = replace(config, backbone=BACKBONES[self.name])
        if not with_text:
            config = replace(config, text=replace(config.text, depth=1, vocabulary=64))
        network = lay_out_network(config)
        fill(network, random_checkpoint(config), torch.device("cpu"), torch.float32, self.name)
        return Uninext(network, None, torch.device("cpu"), 4)


# --- a small one, for what does not need true sizes ----------------------------------------------
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "red", "blue", "one", "that", "moves", "left",
         "##s", "dog", "cat", "two", "a")  # fmt: skip
TINY = UninextConfig(
    backbone=ResnetSize(stem=4, depths=(1, 1, 1, 1), inner=(4, 4, 4, 8), outer=(8, 12, 16, 24)),
    text=TextSize(width=64, depth=1, feedforward=64, vocabulary=len(WORDS), positions=64, kinds=2),
    width=32,
    heads=2,
    levels=4,
    feedforward=64,
    encoder_layers=2,
    decoder_layers=2,
    queries=20,
    fusion_width=64,
    mask_width=8,
)
TINY_BACKBONES = {
    "r50": TINY.backbone,
    "convnext": ConvnextSize(depths=(1, 1, 1, 1), widths=(8, 8, 16, 16)),
    "vit": VitSize(
        width=32,
        depth=2,
        heads=2,
        feedforward=64,
        patch=16,
        pretrained_side=64,
        side=256,
        windowed=(0,),
    ),
}


def write_checkpoint(folder: Path, config: UninextConfig = TINY) -> Path:
    """Write a model_final.pth of these sizes as training leaves it, and its vocabulary beside."""
    folder.mkdir(parents=True, exist_ok=True)
    table = random_checkpoint(config)
    for key in list(table):
        if key.startswith("detr.detr.bbox_embed."):
            table[key.replace("detr.detr.", "detr.detr.transformer.decoder.", 1)] = table[key]
    table["detr.reid_embed_head.0.layers.0.norm1.weight"] = torch.ones(config.width)
    table["text_encoder.body.model.embeddings.position_ids"] = torch.arange(64)[None]
    table["criterion._iter"] = torch.zeros(1)
    torch.save({"model": table, "iteration": 3}, folder / "model_final.pth")
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS))
    return folder / "model_final.pth"
