"""Recorded runs of the reference classes: where they lie, and what one holds.

A small part lies in tests/reference and runs for everybody. The whole record is read too where it
lies: at ../shared/oracle/sa2va beside the project, or where MEVIS_ORACLE says. Both have one
layout, described in tests/reference/README.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from models.recorded import Recorded, oracle
from torch import Tensor

from submission.models.sa2va.internvl.vision import resize
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.settings import Settings
from submission.models.sam2.network import ImageFeatures, normalise

REFERENCE = Path(__file__).parents[1] / "reference"
ORACLE = oracle("sa2va", "MEVIS_ORACLE")

# What the reference itself keeps between one and two threads.
CLOSE = 1e-4  # up to language embeddings, image features and logits of prompted frames
TRACKED_CLOSE = 2e-2  # logits, scale 16, behind memory rounded to bfloat16
SAME_MASK = 0.999  # intersection over union


@dataclass(frozen=True)
class Case(Recorded):
    """One recorded run, with numbers from every stage."""

    @property
    def procedure(self) -> str:
        return "sa2va-i" if self.record["flavour"] == "sa2vai" else "sa2va"

    @property
    def settings(self) -> Settings:
        """Settings of `segment` that repeat this run."""
        sampled = set(self.record["prompt_idx"]) == set(self.record["sample_idx"])
        return Settings(
            procedure=self.procedure,
            sampling="first" if self.record["flavour"] == "sa2va" else "uniform",
            frames=len(self.record["sample_idx"]),
            prompt_frames="sampled" if sampled else "first",
        )

    @property
    def key_frames(self) -> tuple[int, ...]:
        images = PROCEDURES[self.procedure].images(len(self.frames), self.settings)
        return tuple(time for (time,) in images)

    @property
    def prompted_frames(self) -> tuple[int, ...]:
        steps = PROCEDURES[self.procedure].steps(len(self.frames), self.settings)
        return tuple(step.frame for step in steps if step.prompt is not None)

    @property
    def calls(self) -> list[list[tuple[str, int]]]:
        """For each [SEG] the frames in the order of its calls: ("prompt" or "track", time)."""
        every = [(kind, time) for kind, time in self.record["single_frame_calls"]]
        size = len(every) // max(1, self.record["n_masks"])
        return [every[start : start + size] for start in range(0, len(every), size or 1)]

    def low_res(self, seg: int) -> dict[int, Tensor]:
        """Recorded low-resolution logits (1, 1, h, w) of each frame for one [SEG]."""
        calls = self.calls[seg]
        start = seg * len(calls)
        rows = self.recorded["frame_low_res"][start : start + len(calls), None]
        return {time: row for (_, time), row in zip(calls, rows, strict=True)}

    @cache  # noqa: B019  # a handful of cases, needed until the last test
    def features(self, time: int) -> ImageFeatures:
        """Our image features of one frame."""
        network = self.model.network.grounding
        resized = resize([self.frames[time]], network.config.image_size)
        pixels = normalise(torch.from_numpy(resized))
        with torch.inference_mode():
            return network.encode_images(pixels)[0]


def case_folders() -> Iterator[tuple[str, Path]]:
    for source, folder in (("small", REFERENCE), ("oracle", ORACLE)):
        for path in sorted(folder.glob("*/case.json")):
            yield f"{source}-{path.parent.name}", path.parent


CASES = {name: Case(folder) for name, folder in case_folders()}
STAGES = {name: case.stages for name, case in CASES.items()}


def cases(*stages: str) -> pytest.MarkDecorator:
    """Run a test with every case that has recorded all these stages, in whole or in part."""
    # The record at real widths takes more than a minute on one core.
    fitting = [
        pytest.param(case, id=name, marks=[pytest.mark.slow] if "realdim" in name else [])
        for name, case in CASES.items()
        if all(any(f"{key}.".startswith(f"{stage}.") for key in STAGES[name]) for stage in stages)
    ]
    elsewhere = pytest.mark.skip(reason=f"{stages[0]} is in the whole record only (MEVIS_ORACLE)")
    return pytest.mark.parametrize("case", fitting or [pytest.param(None, marks=elsewhere)])


def random(*shape: int, seed: int = 0) -> Tensor:
    """Normally distributed float32 numbers, the same for the same seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def assert_close(ours: Tensor, recorded: Tensor, atol: float = CLOSE) -> None:
    """Compare values of one shape, by absolute difference."""
    torch.testing.assert_close(ours, recorded, atol=atol, rtol=0)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boolean arrays; 1 where both are empty."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


def assert_same_masks(ours: np.ndarray, others: np.ndarray) -> None:
    """Compare masks (T, H, W) frame by frame."""
    assert ours.shape == others.shape
    worst = {t: iou(a, b) for t, (a, b) in enumerate(zip(ours, others, strict=True))}
    assert {t: value for t, value in worst.items() if value <= SAME_MASK} == {}
