"""The kind "propagate": Cutie or SAM 2 after the surest key frame of another expert."""

from submission.experts.propagate.expert import Settings, build

__all__ = ["Settings", "build"]
