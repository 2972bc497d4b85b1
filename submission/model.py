"""The old door to the models, for notebooks of today; the new one is submission.models."""

from submission.models.sa2va.answer import Answer, PackedMasks
from submission.models.sa2va.loading import load
from submission.models.sa2va.model import Limits, Sa2VA
from submission.models.sam2.approximation import Approximation

__all__ = ["Answer", "Approximation", "Limits", "PackedMasks", "Sa2VA", "load"]
