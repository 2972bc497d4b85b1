"""Cutie: masks of objects at some frames become masks at all frames (arXiv 2310.12982)."""

from submission.models.cutie.settings import CutieSettings, LongTermMemory, Propagation

__all__ = ["CutieSettings", "LongTermMemory", "Propagation"]
