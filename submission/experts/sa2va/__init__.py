"""The kind "sa2va": Sa2VA, Sa2VA-i and SaSaSa2VA from a checkpoint, on either backbone."""

from submission.experts.sa2va.expert import build
from submission.experts.sa2va.settings import Settings

__all__ = ["Settings", "build"]
