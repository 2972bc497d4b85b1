"""The old door to Sa2VA, for notebooks of today; deprecated: the new one is submission.models."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from submission.models.sa2va import loading
from submission.models.sa2va.answer import Answer, PackedMasks
from submission.models.sa2va.model import DEFAULTS, Frames
from submission.models.sa2va.model import Sa2VA as _Sa2VA
from submission.models.sa2va.settings import Settings
from submission.models.sam2.approximation import Approximation
from submission.models.sam2.image_features import FrameFeatures
from submission.models.workload import Limits

__all__ = ["Answer", "Approximation", "Limits", "PackedMasks", "Sa2VA", "load"]


class Sa2VA(_Sa2VA):
    """A loaded model whose `segment` also takes the settings one by one, as it once did."""

    def segment(
        self,
        frames: Frames | FrameFeatures,
        sentences: Sequence[str],
        settings: Settings = DEFAULTS,
        *,
        answers: Sequence[str] | None = None,
        **old: Any,
    ) -> list[Answer]:
        """Segment what each sentence refers to; `old` keywords are read with a warning."""
        if old:
            warnings.warn(
                "segment(..., procedure=, num_frames=, ...) is deprecated; give "
                "submission.models.sa2va.Settings(procedure=..., frames=...)",
                DeprecationWarning,
                stacklevel=2,
            )
            settings = _settings(**old)
        return super().segment(frames, sentences, settings, answers=answers)


def load(
    folder: str | Path, device: str | torch.device = "auto", dtype: str | torch.dtype = "auto",
    **options: Any,
) -> Sa2VA:  # fmt: skip
    """Load a checkpoint as `submission.models.load` does, with the old form of `segment` beside."""
    new = loading.load(folder, device, dtype, **options)
    return Sa2VA(new.backbone, new.limits)


def _settings(
    num_frames: int = DEFAULTS.frames, approximation: Approximation | None = None, **old: Any
) -> Settings:
    seen = vars(approximation) if approximation else {}
    return Settings(frames=num_frames, **seen, **old)
