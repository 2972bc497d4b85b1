"""The Qwen-VL backbone: Qwen2.5-VL and Qwen3-VL, on the classes of transformers."""

from submission.models.sa2va.qwenvl.images import image_requests, recognises
from submission.models.sa2va.qwenvl.sizes import parse_sizes, parts
from submission.models.sa2va.registry import Kind

KIND = Kind(
    "Qwen-VL", __name__, recognises, image_requests, parse_sizes, parts,
    language_layers="model.model.language_model.layers.", vision_encoder="model.model.visual.",
    reads=("min_pixels", "max_pixels", "hidden_state", "system_turn"),
)  # fmt: skip
