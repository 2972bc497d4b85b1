"""Recorded runs of the public Qwen-VL classes, read as tests/models/cases.py reads Sa2VA's.

The whole record lies at ../shared/oracle/qwenvl beside the project, or where MEVIS_ORACLE_QWENVL
says; its README is the description of the layout.
"""

from dataclasses import dataclass

import pytest
from models.recorded import Recorded, oracle, runs_with

from submission.models.sa2va.settings import Settings

ORACLE = oracle("qwenvl", "MEVIS_ORACLE_QWENVL")


@dataclass(frozen=True)
class Case(Recorded):
    """One recorded run of a small network."""

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
    return runs_with(CASES, *stages, reason=REASON)
