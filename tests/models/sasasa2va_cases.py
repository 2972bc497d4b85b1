"""Recorded runs of SaSaSa2VA's reference class, read as tests/models/cases.py reads Sa2VA's.

The whole record lies at ../shared/oracle/sasasa2va beside the project, or where
MEVIS_ORACLE_SASASA2VA says; its README is the description of the layout.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from models.recorded import Recorded, oracle, runs_with

from submission.models.sa2va.settings import Settings

ORACLE = oracle("sasasa2va", "MEVIS_ORACLE_SASASA2VA")


@dataclass(frozen=True)
class Case(Recorded):
    """One recorded run in one mode."""

    @cached_property
    def mosaics(self) -> dict[str, np.ndarray]:
        """Images of the first and the last clip before they are resized, uint8 RGB."""
        with np.load(self.folder / "mosaics.npz") as content:
            return dict(content)

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
REASON = f"no record of SaSaSa2VA in {ORACLE} (MEVIS_ORACLE_SASASA2VA)"


def cases(*stages: str, but_slow: str = "") -> pytest.MarkDecorator:
    """Run a test with every case that has recorded all these stages; one may be marked as slow."""
    return runs_with(CASES, *stages, reason=REASON, but_slow=but_slow)
