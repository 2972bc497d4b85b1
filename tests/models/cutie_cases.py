"""Cutie with weights made by a rule, and recorded runs of the package to compare with."""

import json
import os
import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from submission.models.cutie import CutieSettings, LongTermMemory
from submission.models.cutie.model import Cutie
from submission.models.cutie.network import Size, lay_out

RECORDED = Path(__file__).parents[1] / "reference" / "cutie"
ORACLE = Path(
    os.environ.get("MEVIS_CUTIE_ORACLE", Path(__file__).parents[3] / "shared" / "oracle" / "cutie")
)
CLOSE = 1e-4  # of probabilities
EVERY = 5  # recorded probabilities are those of every fifth pixel, each way

GAINS = {"key_proj.key_proj.weight": 2.5, "key_proj.e_proj.weight": 3, "key_proj.d_proj.weight": 2}
LAST_BIAS = {"base": -0.6, "small": -3.2}  # so that masks are neither empty nor everything


@cache
def weights(size: Size) -> dict[str, Tensor]:
    """Every tensor of the model, from its name: random, and the same on every machine."""
    shapes = {name: tuple(value.shape) for name, value in lay_out(size).state_dict().items()}
    return {name: torch.as_tensor(_value(name, shape, size)) for name, shape in shapes.items()}


def _value(name: str, shape: tuple[int, ...], size: Size) -> Any:
    leaf = name.rpartition(".")[2]
    if leaf == "inv_freq":
        return 1 / 128 ** (torch.arange(0, 128, 2).float() / 128)
    if leaf == "num_batches_tracked":
        return 0
    if name == "mask_decoder.pred.bias":
        return np.full(shape, LAST_BIAS[size], np.float32)
    seed = (zlib.crc32(name.encode()) ^ 7) & 0xFFFFFFFF
    drawn = np.random.RandomState(seed).standard_normal(shape).astype(np.float32)
    if leaf == "running_var":
        return 1 + np.float32(0.1) * np.abs(drawn)
    if leaf == "running_mean":
        return np.float32(0.05) * drawn
    if len(shape) > 1:
        return drawn * np.float32(GAINS.get(name, 1) / np.sqrt(np.prod(shape[1:])))
    if leaf != "weight":
        return np.float32(0.02) * drawn
    norm = 1 + np.float32(0.05) * drawn
    inner = name.split(".")[-2] in ("bn2", "bn3") and ".layer" in name
    return norm * np.float32(0.3) if "bn" in name and (inner or ".res2" in name) else norm


@cache
def cutie(size: Size, dtype: torch.dtype = torch.float32) -> Cutie:
    """The model on the CPU."""
    network = lay_out(size)
    network.load_state_dict({**weights(size)}, strict=True, assign=True)
    return Cutie(network.requires_grad_(False).eval(), size, torch.device("cpu"), dtype)


@dataclass(frozen=True)
class Case:
    """A clip of moving rectangles, and the frames at which which of them are given."""

    length: int
    size: tuple[int, int]
    given: dict[int, tuple[int, ...]]  # frame -> objects
    settings: CutieSettings = field(default_factory=CutieSettings)

    @property
    def frames(self) -> np.ndarray:
        """uint8 RGB (T, H, W, 3)."""
        return np.stack([self._frame(time) for time in range(self.length)])

    @property
    def masks(self) -> dict[int, np.ndarray]:
        """Given ids, uint8 (H, W)."""
        return {
            time: self._ids(time) * np.isin(self._ids(time), objects).astype(np.uint8)
            for time, objects in self.given.items()
        }

    def _ids(self, time: int) -> np.ndarray:
        height, width = self.size
        ids = np.zeros(self.size, np.uint8)
        for one in (1, 2, 3):
            top, left = height // 8 * (2 * one - 1), width // 10 * one + 3 * time
            ids[top : top + height // 5, left : left + width // 4] = one
        return ids

    def _frame(self, time: int) -> np.ndarray:
        height, width = self.size
        y, x = np.mgrid[:height, :width]
        ground = np.stack([x * 2, y * 2, x + y], axis=-1) % 160
        colours = np.array([[0, 0, 0], [80, 0, 0], [0, 80, 10], [20, 10, 90]])
        return (ground + colours[self._ids(time)]).astype(np.uint8)


# Recorded from the package alone with the small model (record_cutie.py).
CASES = {
    "three_objects_one_late": Case(6, (80, 112), {0: (1, 2), 3: (3,)}, CutieSettings(mem_every=2)),
    "odd_size": Case(3, (83, 101), {0: (1, 2)}),
    "shrunk": Case(3, (97, 131), {0: (1,)}, CutieSettings(max_internal_size=80)),
    "from_the_middle_with_full_memory": Case(
        9, (80, 112), {4: (1,)}, CutieSettings(mem_every=1, max_mem_frames=3)
    ),
    "flip": Case(3, (80, 112), {0: (2,)}, CutieSettings(flip=True)),
}

# What the larger record was made with, where it is not the default (its meta.json).
ORACLE_SETTINGS = {
    "base_long_term": CutieSettings(
        mem_every=2, use_long_term=True, long_term=LongTermMemory(5, 3, 16, 64, 16)
    )
}
needs_oracle = pytest.mark.skipif(
    not ORACLE.is_dir(), reason=f"{ORACLE} is not here (MEVIS_CUTIE_ORACLE says where)"
)


def oracle(name: str) -> tuple[Size, Any]:
    """A run of the larger record: the model's size, and its arrays."""
    meta = json.loads((ORACLE / "meta.json").read_text())
    return meta[name]["size"], np.load(ORACLE / f"{name}.npz")
