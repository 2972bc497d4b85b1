"""The InternVL backbone: its config, its vision encoder, its prompt and its tensor names."""

from submission.models.sa2va.internvl.images import image_requests, recognises
from submission.models.sa2va.internvl.prompt import TEMPLATES
from submission.models.sa2va.internvl.sizes import parse_sizes, parts
from submission.models.sa2va.registry import Kind

KIND = Kind(
    "InternVL", __name__, recognises, image_requests, parse_sizes, parts,
    language_layers="language_model.model.layers.", mosaics=True, templates=tuple(TEMPLATES),
)  # fmt: skip
