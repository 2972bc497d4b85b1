"""The kind "container": an image of somebody else answers videos with PNGs."""

from submission.experts.container.expert import Settings, build

__all__ = ["Settings", "build"]
