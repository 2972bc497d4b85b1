"""Recorded runs of a public class: where records lie, what each run holds, and tests with its runs.

A whole record lies at ../shared/oracle/NAME beside the project, or where a variable says.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from submission.models.sa2va.loading import load
from submission.models.sa2va.model import Sa2VA


def oracle(name: str, variable: str) -> Path:
    return Path(os.environ.get(variable, Path(__file__).parents[3] / "shared" / "oracle" / name))


@cache
def load_once(folder: Path) -> Sa2VA:
    return load(folder, "cpu", "float32")


@dataclass(frozen=True)
class Recorded:
    """One recorded run: a video, a sentence, a forced answer, and numbers from stages."""

    folder: Path

    @cached_property
    def record(self) -> dict[str, Any]:
        return json.loads((self.folder / "case.json").read_text())

    @cached_property
    def frames(self) -> np.ndarray:
        """uint8 RGB (T, H, W, 3); the small cases share one video in the folder above."""
        own = self.folder / "frames.npz"
        path = own if own.is_file() else self.folder.parent / "frames.npz"
        with np.load(path) as content:
            return content["frames"]

    @cached_property
    def recorded(self) -> dict[str, Tensor]:
        return load_file(self.folder / "intermediates.safetensors")

    @cached_property
    def stages(self) -> list[str]:
        """Names of the recorded tensors, read from the header alone."""
        with safe_open(self.folder / "intermediates.safetensors", framework="pt") as content:
            return list(content.keys())

    @property
    def model_folder(self) -> Path:
        return self.folder.parent / "models" / self.record["model"]

    @property
    def model(self) -> Sa2VA:
        """The network of this case, in float32 on the CPU; loaded once."""
        return load_once(self.model_folder)

    @property
    def sentence(self) -> str:
        """The expression, taken out of the words that the reference put around it."""
        words = self.record["text"].removeprefix("<image>\n")
        if words.startswith("Please segment "):
            return words.removeprefix("Please segment ").removesuffix(".")
        return words.strip().removesuffix(" Please respond with a segmentation mask.")

    @property
    def answer(self) -> str:
        return self.record["forced_answer"]


def runs_with(
    runs: Mapping[str, Recorded], *stages: str, reason: str, but_slow: str = ""
) -> pytest.MarkDecorator:
    """Run a test with every run that has recorded all these stages; one may be marked as slow."""
    fitting = [
        pytest.param(run, id=name, marks=[pytest.mark.slow] if name == but_slow else [])
        for name, run in runs.items()
        if set(stages) <= set(run.stages)
    ]
    nothing = pytest.param(None, marks=pytest.mark.skip(reason=reason))
    return pytest.mark.parametrize("case", fitting or [nothing])
