"""Units of work of SAM 2, each counted once on the real network without values.

What the units are, and how often each comes, is said in work.py.
"""

from functools import cache, cached_property

import torch

from submission.models.counting import count, empty, without_values
from submission.models.mask_packing import add_up_bits, enlarge
from submission.models.meta import parameters_on_meta
from submission.models.sam2.network import GroundingNetwork, ImageFeatures
from submission.models.sam2.policy import TrackerPolicy
from submission.models.sam2.sizes import GroundingConfig
from submission.models.sam2.tracker import Tracker, is_foreground
from submission.models.unit_calls import Unit
from submission.models.workload import Work

ANY_SIZE = (64, 64)  # of frames, where it changes nothing


class Sam2Units:
    """A unit's name is a method that counts it."""

    def __init__(self, config: GroundingConfig, policy: TrackerPolicy, *, tuned: bool) -> None:
        self.config = config
        self.policy = policy
        with parameters_on_meta():
            network = GroundingNetwork(config, has_tuned_decoder=tuned).eval()
        self.network = without_values(network)
        self._reading = cache(self._reading)  # type: ignore[method-assign]

    @torch.inference_mode()
    def __call__(self, unit: Unit) -> Work:
        counted: Work = getattr(self, unit.name)(*unit.numbers)
        return counted

    def images(self, images: int) -> Work:
        """The image encoder over a batch of frames."""
        side = self.config.image_size
        return count(lambda: self.network.encode_images(empty(images, 3, side, side)))

    def prompted(self, objects: int, remember: int, height: int, width: int) -> Work:
        """A prompted frame."""
        tracker, seen = self._tracker(height, width), self._features
        words = self._words(objects)
        return count(lambda: tracker.prompt(0, seen, words, remember=bool(remember)))

    def given(self, objects: int, height: int, width: int) -> Work:
        """A frame whose masks are given."""
        tracker, seen = self._tracker(height, width), self._features
        masks = empty(objects, 1, height, width).float()
        return count(lambda: tracker.give(0, seen, masks))

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
        return Work(values=sum(one.numel() for one in self.network.parameters()))

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
