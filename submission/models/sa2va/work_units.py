"""Units of work of Sa2VA, each counted once on the real network without values.

Vision encoder and language model are laid out with few layers, because each is like the one before;
SAM 2 whole. What the units are, and how often each comes, is said in work.py.
"""

from collections.abc import Mapping
from functools import cache, cached_property, partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from submission.models.counting import META, count, empty, without_values
from submission.models.mask_packing import add_up_bits, enlarge
from submission.models.meta import parameters_on_meta
from submission.models.quantized import Int8Linear, keep_in_int8
from submission.models.sa2va.language import read_prefix
from submission.models.sa2va.loading import backbone_of
from submission.models.sa2va.network import seg_projector
from submission.models.sam2.network import GroundingNetwork, ImageFeatures
from submission.models.sam2.policy import TrackerPolicy
from submission.models.sam2.sizes import GroundingConfig, read_grounding
from submission.models.sam2.tracker import Tracker, is_foreground
from submission.models.unit_calls import Unit
from submission.models.workload import Work

ANY_SIZE = (64, 64)  # of frames, where it changes nothing


class Units:
    """A part of the network: a unit's name is a method that counts it."""

    @torch.inference_mode()
    def __call__(self, unit: Unit) -> Work:
        counted: Work = getattr(self, unit.name)(*unit.numbers)
        return counted


class VisionUnits(Units):
    """The vision encoder with what projects its tokens."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._kind = backbone_of(values).countable
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
        kind = backbone_of(values).countable
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


class Sam2Units(Units):
    """SAM 2: images, prompts, memory, masks."""

    def __init__(self, config: GroundingConfig, policy: TrackerPolicy, *, tuned: bool) -> None:
        self.config = config
        self.policy = policy
        with parameters_on_meta():
            network = GroundingNetwork(config, has_tuned_decoder=tuned).eval()
        self.network = without_values(network)
        self._reading = cache(self._reading)  # type: ignore[method-assign]

    def images(self, images: int) -> Work:
        """The image encoder over a batch of frames."""
        side = self.config.image_size
        return count(lambda: self.network.encode_images(empty(images, 3, side, side)))

    def prompted(self, objects: int, remember: int, height: int, width: int) -> Work:
        """A prompted frame."""
        tracker, seen = self._tracker(height, width), self._features
        words = self._words(objects)
        return count(lambda: tracker.prompt(0, seen, words, remember=bool(remember)))

    def tracked(self, objects: int) -> Work:
        """A tracked frame, as if it saw nothing of memory."""
        tracker, seen, size = self._tracker(*ANY_SIZE), self._features, self.config.feature_size
        reads_two, one_map, pointer, _ = self._reading(objects)
        fused = empty(objects, self.config.hidden_size, size, size)
        tracker.reader  # noqa: B018  # its tables are made once for a video
        found = count(lambda: tracker.keep(0, seen, tracker.decode(seen, fused)))
        return found + reads_two - 2 * one_map - 2 * pointer

    def memory_map(self, objects: int) -> Work:
        """A map that a tracked frame sees."""
        return self._reading(objects)[1]

    def pointer(self, objects: int) -> Work:
        """A pointer that a tracked frame sees."""
        return self._reading(objects)[2]

    def lay_out(self, objects: int) -> Work:
        """Keys and values of a prompted map, once for every group of objects."""
        return self._reading(objects)[3]

    def project(self) -> Work:
        """A memory map of one object to keys and values of every layer."""
        reader = self._tracker(*ANY_SIZE).reader
        map_ = empty(1, self.config.memory_size, self.config.feature_size, self.config.feature_size)
        return count(lambda: (reader.project_keys(map_), reader.project_values(map_)))

    def draw(self, objects: int, height: int, width: int) -> Work:
        """Masks of a frame, from SAM 2's logits to bits."""
        side, size = self.config.image_size, (height, width)
        logits = empty(objects, 1, side // 4, side // 4).float()
        return count(lambda: add_up_bits(is_foreground(enlarge(logits, side, size)[:, 0])))

    def weights(self) -> Work:
        """Parameters, as values."""
        return Work(values=_numbers(self.network))

    def _reading(self, objects: int) -> tuple[Work, Work, Work, Work]:
        """Reading two maps and two pointers; one map more; one pointer more; laying out a map.

        Taken apart by reading after one prompted frame, and after two of which one is late.
        """
        near, two, three = self._reads_after((0,), 3, objects)
        _, late = self._reads_after((0, 9), 2, objects)  # a map more, and no pointer
        one_map = late - two
        pointer = three - late
        return two, one_map, pointer, near - (two - one_map - pointer)

    def _reads_after(self, prompted: tuple[int, ...], frames: int, objects: int) -> list[Work]:
        """Reading memory in the frames from 1 on."""
        tracker, seen, side = self._tracker(*ANY_SIZE), self._features, self.config.feature_size
        map_ = empty(objects, self.config.memory_size, side, side)
        pointer = empty(objects, self.config.hidden_size)
        for time in prompted:
            tracker.remember(time, map_, pointer, prompted=True)
        works = []
        for time in range(1, frames + 1):
            works.append(count(lambda: tracker.condition(time, seen)))  # noqa: B023
            tracker.remember(time, map_, pointer, prompted=False)
        return works

    def _tracker(self, height: int, width: int) -> Tracker:
        return Tracker(self.network, self.policy, frame_size=(height, width))

    def _words(self, objects: int) -> torch.Tensor:
        return empty(objects, self.config.hidden_size)

    @cached_property
    def _features(self) -> ImageFeatures:
        """Of one frame; with the tables that the network makes when it first needs them."""
        side = self.config.image_size
        seen = self.network.encode_images(empty(1, 3, side, side))[0]
        self.network.position_of(seen)
        self.network.memory_position()
        return seen


def _numbers(network: nn.Module, *, int8: bool = False) -> int:
    return sum(one.numel() for one in network.parameters() if (one.dtype == torch.int8) == int8)
