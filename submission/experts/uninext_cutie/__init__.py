"""The kind "uninext-cutie": UNINEXT in every frame, Cutie from the best ones."""

from submission.experts.uninext_cutie.expert import build
from submission.experts.uninext_cutie.settings import Settings

__all__ = ["Settings", "build"]
