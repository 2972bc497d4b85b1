"""Units of work of Sa2VA's first half, each counted once on the real network without values.

Vision encoder and language model are laid out with few layers, because each is like the one before.
What the units are, and how often each comes, is said in work.py; those of SAM 2 stand beside it.
"""

from collections.abc import Mapping
from functools import cache, cached_property, partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from submission.models.counting import META, count, empty, without_values
from submission.models.meta import parameters_on_meta
from submission.models.quantized import Int8Linear, keep_in_int8
from submission.models.sa2va.language import read_prefix
from submission.models.sa2va.network import seg_projector
from submission.models.sa2va.registry import kind_of
from submission.models.sam2.sizes import read_grounding
from submission.models.unit_calls import Unit
from submission.models.workload import Work


class Units:
    """A part of the network: a unit's name is a method that counts it."""

    @torch.inference_mode()
    def __call__(self, unit: Unit) -> Work:
        counted: Work = getattr(self, unit.name)(*unit.numbers)
        return counted


class VisionUnits(Units):
    """The vision encoder with what projects its tokens."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._kind = kind_of(values).network().countable
        self._encoder = cache(partial(self._kind.vision, values))

    def look(self, layers: int, special: int, *shape: int) -> Work:
        """Look at images; what shape means is the backbone's business."""
        encoder = self._encoder(layers, special)
        return count(lambda: self._kind.look(encoder, *shape))

    def weights(self, layers: int, special: int) -> Work:
        """Parameters, as values."""
        return Work(values=_numbers(self._encoder(layers, special)))


class LanguageUnits(Units):
    """The language model, and what makes a prompt of a [SEG]'s state."""

    def __init__(self, values: Mapping[str, Any], quantize: str = "none") -> None:
        kind = kind_of(values).network().countable
        self._prompt_width = read_grounding(values).hidden_size

        @cache
        def laid_out(layers: int) -> PreTrainedModel:
            model: PreTrainedModel = kind.language(values, layers)
            if quantize == "int8":
                keep_in_int8(model.model)
                for one in model.modules():
                    if isinstance(one, Int8Linear):
                        one.scale = one.scale.to(META, torch.bfloat16)
            return model

        self._model = laid_out

    def prefix(self, layers: int, tokens: int) -> Work:
        """Read the images and what stands before them."""
        model = self._model(layers)
        return count(lambda: read_prefix(model, empty(tokens, model.config.hidden_size)))

    def behind(self, layers: int, tokens: int, seen: int) -> Work:
        """Read tokens behind others, so that all are `seen`, each by a mask of its own."""
        model = self._model(layers)
        kept = read_prefix(model, empty(seen - tokens, model.config.hidden_size)).cache
        places = torch.zeros(1, tokens, dtype=torch.long, device="meta")
        mask = empty(1, 1, tokens, seen).bool()
        return count(
            lambda: model.model(
                inputs_embeds=empty(1, tokens, model.config.hidden_size), attention_mask=mask,
                position_ids=places, past_key_values=kept, use_cache=True,
            )
        )  # fmt: skip

    def choose(self, rows: int) -> Work:
        """Logits of the next token of each row."""
        model = self._model(1)
        return count(lambda: model.lm_head(empty(rows, model.config.hidden_size)).argmax(dim=-1))

    def project(self, rows: int) -> Work:
        """[SEG] states to prompts."""
        width, projector = self._model(1).config.hidden_size, self._projector
        return count(lambda: projector(empty(rows, width)))

    def weights(self, layers: int) -> Work:
        """Parameters of the precision of the network, as values."""
        return Work(values=_numbers(self._model(layers)) + _numbers(self._projector))

    def int8_weights(self, layers: int) -> Work:
        """Parameters of one byte, as values."""
        return Work(values=_numbers(self._model(layers), int8=True))

    @cached_property
    def _projector(self) -> nn.Module:
        with parameters_on_meta():
            made = seg_projector(self._model(1).config.hidden_size, self._prompt_width)
        return without_values(made)


def _numbers(network: nn.Module, *, int8: bool = False) -> int:
    return sum(one.numel() for one in network.parameters() if (one.dtype == torch.int8) == int8)
