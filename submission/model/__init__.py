"""Sa2VA in pure PyTorch: tensors, integers and strings; knows nothing of datasets or recipes."""

from submission.model.answer import Answer, PackedMasks
from submission.model.approximation import Approximation
from submission.model.loading import load
from submission.model.sa2va import Limits, Sa2VA

__all__ = ["Answer", "Approximation", "Limits", "PackedMasks", "Sa2VA", "load"]
