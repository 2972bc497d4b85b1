"""An InternVL with few layers and without values, on which work is counted."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from submission.models.counting import empty, without_values
from submission.models.meta import parameters_on_meta
from submission.models.sa2va.internvl.config import parse_config
from submission.models.sa2va.internvl.llm_config import language_config
from submission.models.sa2va.internvl.prompt import TEMPLATES


def vision(values: Mapping[str, Any], layers: int, special: int = 0) -> nn.Module:
    """The vision encoder and its projector; none of its layers is special."""
    return _modules(values, layers)[0]


def look(encoder: Any, images: int) -> None:
    """Let it read images."""
    side = encoder.encoder.config.image_size[0]
    encoder(empty(images, 3, side, side))


def language(values: Mapping[str, Any], layers: int) -> PreTrainedModel:
    """The language model."""
    return _modules(values, layers)[1]


def _modules(values: Mapping[str, Any], layers: int) -> tuple[nn.Module, PreTrainedModel]:
    fewer = {
        **values,
        "vision_config": {**values["vision_config"], "num_hidden_layers": layers},
        "llm_config": {**language_config(values), "num_hidden_layers": layers},
    }
    any_template = next(iter(TEMPLATES))
    config = parse_config(fewer, has_tuned_decoder=False, template=any_template)
    # Dynamic scaling looks at positions, which have no values here; it is idle in short prompts.
    theta = config.llm.rope_parameters["rope_theta"]
    config.llm.rope_parameters = {"rope_type": "default", "rope_theta": theta}
    with parameters_on_meta():
        eyes, words = config.modules()
    return without_values(eyes).eval(), without_values(words).eval()  # type: ignore[no-untyped-call]
