"""Sa2VA and what descends from it: a video and sentences in, a mask for every frame out."""

from submission.models.sa2va.settings import Settings

__all__ = ["Settings"]
