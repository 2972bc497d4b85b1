"""Recorded runs of SaSaSa2VA's reference class, read as tests/models/cases.py reads Sa2VA's.

The whole record lies at ../shared/oracle/sasasa2va beside the project, or where
MEVIS_ORACLE_SASASA2VA says; its README is the description of the layout.
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
        "MEVIS_ORACLE_SASASA2VA", Path(__file__).parents[3] / "shared" / "oracle" / "sasasa2va"
    )
)


@dataclass(frozen=True)
class Case:
    """One recorded run: a video, a sentence, a forced answer, a mode, and numbers from stages."""

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

    @cached_property
    def mosaics(self) -> dict[str, np.ndarray]:
        """Images of the first and the last clip before they are resized, uint8 RGB."""
        with np.load(self.folder / "mosaics.npz") as content:
            return dict(content)

    @property
    def model(self) -> Sa2VA:
        """The network of this case, in float32 on the CPU; loaded once."""
        return load_once(self.folder.parent / "models" / self.record["model"])

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
        given = self.record["selected_fids_in"]
        return Settings(
            procedure="sasasa2va",
            mode=self.record["mode"],
            selected_frames=None if given is None else tuple(given),
            prompt_frames="first",
        )


CASES = {path.parent.name: Case(path.parent) for path in sorted(ORACLE.glob("*/case.json"))}
NOT_THERE = pytest.mark.skip(reason=f"no record of SaSaSa2VA in {ORACLE} (MEVIS_ORACLE_SASASA2VA)")


def cases(*stages: str, but_slow: str = "") -> pytest.MarkDecorator:
    """Run a test with every case that has recorded all these stages; one may be marked as slow."""
    fitting = [
        pytest.param(case, id=name, marks=[pytest.mark.slow] if name == but_slow else [])
        for name, case in CASES.items()
        if all(stage in case.recorded for stage in stages)
    ]
    return pytest.mark.parametrize("case", fitting or [pytest.param(None, marks=NOT_THERE)])
