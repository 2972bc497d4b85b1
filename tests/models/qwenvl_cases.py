"""Recorded runs of the public Qwen-VL classes, read as tests/models/cases.py reads Sa2VA's.

The whole record lies at ../shared/oracle/qwenvl beside the project, or where MEVIS_ORACLE_QWENVL
says; its README is the description of the layout.
"""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models.cases import load_once
from safetensors.torch import load_file
from torch import Tensor

from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.settings import Settings

ORACLE = Path(
    os.environ.get(
        "MEVIS_ORACLE_QWENVL", Path(__file__).parents[3] / "shared" / "oracle" / "qwenvl"
    )
)


@dataclass(frozen=True)
class Case:
    """One recorded run: a video, a sentence, a forced answer, and numbers from stages."""

    folder: Path

    @cached_property
    def record(self) -> dict[str, Any]:
        return json.loads((self.folder / "case.json").read_text())

    @cached_property
    def frames(self) -> np.ndarray:
        """uint8 RGB (T, H, W, 3)."""
        with np.load(self.folder / "frames.npz") as content:
            return content["frames"]

    @cached_property
    def recorded(self) -> dict[str, Tensor]:
        return load_file(self.folder / "intermediates.safetensors")

    @property
    def model(self) -> Sa2VA:
        """The network of this case, in float32 on the CPU; loaded once."""
        return load_once(ORACLE / "models" / self.record["model"])

    @property
    def sentence(self) -> str:
        words = self.record["text"].removeprefix("<image>\n")
        return words.removeprefix("Please segment ").removesuffix(".")

    @property
    def answer(self) -> str:
        return self.record["forced_answer"]

    @property
    def settings(self) -> Settings:
        """Settings of `segment` that repeat this run."""
        return Settings(
            sampling="first",
            frames=len(self.record["sample_idx"]),
            min_pixels=self.record["min_pixels"],
            max_pixels=self.record["max_pixels"],
        )


CASES = {path.parent.name: Case(path.parent) for path in sorted(ORACLE.glob("*/case.json"))}
REASON = f"no record of Sa2VA on Qwen-VL in {ORACLE} (MEVIS_ORACLE_QWENVL)"
NOT_THERE = pytest.mark.skipif(not CASES, reason=REASON)


def cases(*stages: str) -> pytest.MarkDecorator:
    """Run a test with every case that has recorded all these stages."""
    fitting = [
        pytest.param(case, id=name)
        for name, case in CASES.items()
        if all(stage in case.recorded for stage in stages)
    ]
    nothing = pytest.param(None, marks=pytest.mark.skip(reason=REASON))
    return pytest.mark.parametrize("case", fitting or [nothing])
