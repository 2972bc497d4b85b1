"""Units of work of Sa2VA, each counted once on the real network without values.

An image through an encoder, a prompted frame of so many objects, ...: what grows in a straight line
with images, objects, maps or pointers is counted at two of them, exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import torch
from transformers import DynamicCache

from submission.models.counting import (
    MANY,
    Work,
    count,
    curve_through,
    empty,
    line_through,
    without_values,
)
from submission.models.mask_packing import add_up_bits, enlarge
from submission.models.quantized import keep_in_int8
from submission.models.sa2va.network import Config, Network, lay_out
from submission.models.sa2va.procedures import Procedure
from submission.models.sam2.network import ImageFeatures
from submission.models.sam2.sight import Sight
from submission.models.sam2.tracker import Tracker, is_foreground

QUESTION_TOKENS = 25  # "Please segment ...", seven or eight words, and the turn of the answer
ANSWER_TOKENS = 5  # "Sure, ." and the end; each [SEG] is one more
Size = tuple[int, int]  # height and width of frames, pixels


@dataclass(frozen=True)
class Tracked:
    """Work of a tracked frame that sees two maps and two pointers, and of each more."""

    base: Work
    map: Work
    pointer: Work
    lay_out: Work  # of each prompted map, once for every group of objects

    def seeing(self, sight: Sight) -> Work:
        """Work of a frame that sees this."""
        return self.base + (sight.maps - 2) * self.map + (sight.pointers - 2) * self.pointer


class Units:
    """The units of one network; each is counted when it is first asked for."""

    def __init__(self, config: Config, procedure: Procedure, quantize: str = "none") -> None:
        self.config = config
        self.procedure = procedure
        network = lay_out(config)
        if quantize == "int8":
            keep_in_int8(network.language.model)
        self.network: Network = without_values(network)
        self.vision = cache(self._vision)
        self.prefix = cache(self._prefix)
        self.answers = cache(self._answers)
        self.images = cache(self._images)
        self.prompted = cache(self._prompted)
        self.tracked = cache(self._tracked)
        self.projected = cache(self._projected)
        self.draw = cache(self._draw)

    # --- language --------------------------------------------------------------------------------
    def _vision(self, images: int, size: Size) -> Work:
        """The vision encoder and the projector over images of frames of `size`."""
        vision = self.network.vision
        return _line(lambda n: count(lambda: self.config.encode_nothing(vision, n, size)), images)

    def _prefix(self, tokens: int) -> Work:
        """The language model over the images and what stands before them."""
        return count(lambda: self._read(self._new_cache(), tokens))

    def _answers(self, prefix: int, sentences: int, segs: int) -> Work:
        """Questions packed behind the prefix, then one token a step for all of them together."""

        def counted(packed: int) -> Work:
            behind = self._new_cache()
            with torch.inference_mode():
                self._read(behind, prefix)
            return count(lambda: self._answer(behind, packed, segs))

        if sentences == 1:
            return counted(1)  # a batch of one goes another way through some modules
        return curve_through([(n, counted(n)) for n in (2, 3, 4)], sentences)

    def _answer(self, behind: DynamicCache, packed: int, segs: int) -> None:
        width, language = self._width, self.network.language
        self._read(behind, packed * QUESTION_TOKENS)
        for _ in range(ANSWER_TOKENS + segs - 1):  # the last one is chosen and not read
            language.lm_head(empty(packed, width))
            self._read(behind, packed)
        language.lm_head(empty(packed, width))
        self.network.seg_projector(empty(packed * segs, width))

    def _read(self, behind: DynamicCache, tokens: int) -> None:
        places = torch.zeros(1, tokens, dtype=torch.long, device="meta")
        seen = empty(1, 1, tokens, behind.get_seq_length() + tokens).bool()
        self.network.language.model(
            inputs_embeds=empty(1, tokens, self._width), attention_mask=seen, position_ids=places,
            past_key_values=behind, use_cache=True,
        )  # fmt: skip

    def _new_cache(self) -> DynamicCache:
        return DynamicCache(config=self.network.language.config)

    @property
    def _width(self) -> int:
        return int(self.network.language.config.hidden_size)

    # --- SAM 2 -----------------------------------------------------------------------------------
    def _images(self, images: int) -> Work:
        """The image encoder over a batch of frames."""
        sam2 = self.network.grounding
        side = sam2.config.image_size
        return _line(lambda n: count(lambda: sam2.encode_images(empty(n, 3, side, side))), images)

    def _prompted(self, objects: int, size: Size, remember: bool) -> Work:
        """A prompted frame of `objects`."""

        def counted(batch: int) -> Work:
            tracker, seen, words = self._tracker(size), self._features, self._words(batch)
            return count(lambda: tracker.prompt(0, seen, words, remember=remember))

        return _line(counted, objects)

    def _tracked(self, objects: int, size: Size) -> Tracked:
        """A tracked frame of `objects`; a straight line from MANY on, for another kernel."""
        if objects > 2 * MANY:
            one, two = self.tracked(MANY, size), self.tracked(2 * MANY, size)
            parts = (vars(one)[name] for name in vars(one)), (vars(two)[name] for name in vars(one))
            return Tracked(
                *(line_through(a, MANY, b, 2 * MANY, objects) for a, b in zip(*parts, strict=True))
            )
        return self._follow(objects, size)

    def _follow(self, objects: int, size: Size) -> Tracked:
        """Take maps and pointers apart: after one prompted frame, and after two, one late."""
        near, two, three = self._frames_after((0,), 3, objects, size)
        _, late = self._frames_after((0, 9), 2, objects, size)  # a map more, and no pointer
        one_map = late - two
        pointer = three - late
        return Tracked(two, one_map, pointer, near - (two - one_map - pointer))

    def _frames_after(
        self, prompted: tuple[int, ...], frames: int, objects: int, size: Size
    ) -> list[Work]:
        tracker, seen = self._tracker(size), self._features
        with torch.inference_mode():
            for time in prompted:
                tracker.prompt(time, seen, self._words(objects))
        return [
            count(lambda time=time: tracker.track(time, seen))  # type: ignore[misc]
            for time in range(1, frames + 1)
        ]

    def _projected(self) -> Work:
        """A memory map of one object to keys and values of every layer."""
        reader, config = self._tracker((1, 1)).reader, self.network.grounding.config
        map_ = empty(1, config.memory_size, config.feature_size, config.feature_size)
        return count(lambda: (reader.project_keys(map_), reader.project_values(map_)))

    def _draw(self, objects: int, size: Size) -> Work:
        """Masks of a frame, from SAM 2's logits to bits."""
        side = self.network.grounding.config.image_size
        with torch.inference_mode():
            logits = empty(objects, 1, side // 4, side // 4).float()
        return count(lambda: add_up_bits(is_foreground(enlarge(logits, side, size)[:, 0])))

    def _tracker(self, size: Size) -> Tracker:
        with torch.inference_mode():
            return Tracker(self.network.grounding, self.procedure.policy, frame_size=size)

    def _words(self, objects: int) -> torch.Tensor:
        return empty(objects, self.network.grounding.config.hidden_size)

    @cached_property
    def _features(self) -> ImageFeatures:
        side = self.network.grounding.config.image_size
        with torch.inference_mode():
            return self.network.grounding.encode_images(empty(1, 3, side, side))[0]


def _line(counted: Callable[[int], Work], wanted: int) -> Work:
    """Count at one or two, and lengthen the line for more."""
    if wanted <= 2:
        return counted(wanted)
    return line_through(counted(1), 1, counted(2), 2, wanted)
