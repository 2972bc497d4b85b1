"""The kind "uninext-cutie": UNINEXT in every frame, Cutie from the best ones."""

from submission.experts.uninext_cutie.expert import Settings, build

__all__ = ["Settings", "build"]
