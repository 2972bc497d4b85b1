"""Follow a group of objects through a video, in lock-step as a batch.

The tracker owns everything that is remembered. Prompted frames stay for ever and are seen by every
other frame, also by earlier ones; of the tracked frames the last six memory maps and fifteen object
pointers are kept. So memory does not grow with the length of the video. Objects never influence one
another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch.nn.functional as F
from torch import Tensor

from submission.models.sam2.approximation import EXACT, Approximation
from submission.models.sam2.fixed_parts import EAGER, FixedParts
from submission.models.sam2.memory_attention import MemoryReader, RecentMap
from submission.models.sam2.memory_bank import MemoryBank
from submission.models.sam2.network import DecodedMasks, GroundingNetwork, ImageFeatures
from submission.models.sam2.policy import TrackerPolicy
from submission.models.sam2.sight import look_back
from submission.models.sam2.sizes import MAX_POINTERS, MAX_RECENT_MAPS, NUM_MEMORY_FRAMES

SIGMOID_IS_HALF = 8.940697e-08  # the largest float32 whose sigmoid is not above 0.5
PROMPTED_SLOT = NUM_MEMORY_FRAMES - 1  # temporal embedding of prompted frames, near or far


@dataclass
class Memory:
    """What frames have left behind, by time."""

    prompted_maps: dict[int, Tensor] = field(default_factory=dict)  # (B, K, S, S)
    prompted_pointers: dict[int, Tensor] = field(default_factory=dict)  # (B, C)
    recent_maps: dict[int, RecentMap] = field(default_factory=dict)
    recent_pointers: dict[int, Tensor] = field(default_factory=dict)

    def forget_before(self, time: int) -> None:
        """Drop what no frame from `time` on can see."""
        self.recent_maps = {
            t: kept for t, kept in self.recent_maps.items() if t >= time - MAX_RECENT_MAPS
        }
        self.recent_pointers = {
            t: kept for t, kept in self.recent_pointers.items() if t > time - MAX_POINTERS
        }


@dataclass(frozen=True)
class Found:
    """What was found in one frame, of B objects."""

    logits: Tensor  # (B, 1, 4S, 4S) float32 mask logits
    confidence: Tensor  # (B,) float32 in 0..1, of the decoder that found the masks


class Tracker:
    """Prompt some frames, then track the others in order of time.

    Parameters
    ----------
    policy
        What is made hard and what is blanked, and which decoder tracks.
    frame_size
        (height, width) of the video; the size at which masks are made hard.
    approximation
        What tracked frames leave out of sight; nothing by default.
    make_reader
        Gives the attention over memory for the network's weights; made anew by default.
    parts
        How parts of fixed shape run; as they are called by default.
    """

    def __init__(
        self,
        network: GroundingNetwork,
        policy: TrackerPolicy,
        *,
        frame_size: tuple[int, int],
        approximation: Approximation = EXACT,
        make_reader: Callable[[GroundingNetwork], MemoryReader] = MemoryReader,
        parts: FixedParts = EAGER,
    ) -> None:
        self.network = network
        self.approximation = approximation
        self.policy = policy
        self.frame_size = frame_size
        self.make_reader = make_reader
        self.parts = parts
        self.memory = Memory()
        self._bank: MemoryBank | None = None

    @cached_property
    def reader(self) -> MemoryReader:
        """The attention over memory; a video in which nothing is tracked needs none."""
        return self.make_reader(self.network)

    def prompt(
        self, time: int, features: ImageFeatures, language: Tensor, *, remember: bool = True
    ) -> Found:
        """Find the objects of language embeddings (B, C) in a frame, and remember them.

        Without `remember` the frame leaves no memory, for a video in which nothing is tracked.
        """
        soft = self.parts.run(
            self.network.decode_language, features, language, gate=self.policy.gate_prompted
        )
        found = self._harden(features, soft) if self.policy.harden_prompts else soft
        if remember:
            memory = self.parts.run(self.network.encode_memory, features, found.logits)
            self.remember(time, memory, found.pointer, prompted=True)
        return Found(found.logits, soft.confidence)

    def give(self, time: int, features: ImageFeatures, masks: Tensor) -> Found:
        """Take masks (B, 1, H, W), 0 or 1, for the objects of a frame, and remember them."""
        found = self._take(features, masks)
        memory = self.parts.run(self.network.encode_memory, features, found.logits)
        self.remember(time, memory, found.pointer, prompted=True)
        return Found(found.logits, found.confidence)

    def track(self, time: int, features: ImageFeatures) -> Found:
        """Find the objects in the next frame from memory; frames must come in order of time."""
        return self.keep(time, features, self.decode(features, self.condition(time, features)))

    def decode(self, features: ImageFeatures, conditioned: Tensor) -> DecodedMasks:
        """Find the objects in a map (B, C, S, S) that was fused with memory."""
        return self.parts.run(
            self.network.decode_tracked, features, conditioned, gate=self.policy.gate_tracked,
            decoder=self.policy.tracking_decoder,
        )  # fmt: skip

    def keep(self, time: int, features: ImageFeatures, found: DecodedMasks) -> Found:
        """Remember what was found in a tracked frame, and return it."""
        self.memory.forget_before(time + 1)
        memory = self.parts.run(self.network.encode_memory, features, found.logits)
        self.remember(time, memory, found.pointer, prompted=False)
        return Found(found.logits, found.confidence)

    def remember(self, time: int, memory_map: Tensor, pointer: Tensor, *, prompted: bool) -> None:
        """Keep a frame's memory map (B, K, S, S) and object pointers (B, C)."""
        if prompted:
            self.memory.prompted_maps[time] = memory_map
            self.memory.prompted_pointers[time] = pointer
            self._bank = None
        else:
            keys = self.parts.run(self.reader.project_keys, memory_map)
            self.memory.recent_maps[time] = RecentMap(memory_map, keys)
            self.memory.recent_pointers[time] = pointer

    def condition(self, time: int, features: ImageFeatures) -> Tensor:
        """Fuse a frame's stride-16 map with the memory in its sight: (B, C, S, S)."""
        memory = self.memory
        seen = look_back(time, memory.prompted_maps, memory.recent_pointers, self.approximation)
        bank = self._bank_for(seen.prompted_maps)
        bank.show_prompted({t: memory.prompted_maps[t] for t in seen.prompted_maps}, PROMPTED_SLOT)
        recent = {t: (memory.recent_maps[t], time - t - 1) for t in seen.recent_maps}
        pointers = [memory.prompted_pointers[t] for t in seen.prompted_pointers]
        pointers += [memory.recent_pointers[t] for t in seen.recent_pointers]
        return self.reader.read(features, bank.show(recent, pointers), self.parts)

    def _bank_for(self, shown: Sequence[int]) -> MemoryBank:
        """The bank, laid out anew after a change in what was prompted."""
        if self._bank is None:
            objects = len(self.memory.prompted_maps[shown[0]])
            self._bank = MemoryBank(
                self.reader, objects, prompted=len(shown), recent=MAX_RECENT_MAPS,
                pointers=len(shown) + MAX_POINTERS - 1,
            )  # fmt: skip
        return self._bank

    def _harden(self, features: ImageFeatures, soft: DecodedMasks) -> DecodedMasks:
        """Make predicted masks hard at the frame's size and give them to SAM 2 as masks."""
        shown = F.interpolate(soft.logits, self.frame_size, mode="bilinear", align_corners=False)
        return self._take(features, is_foreground(shown).float())

    def _take(self, features: ImageFeatures, masks: Tensor) -> DecodedMasks:
        side = self.network.config.image_size
        given = F.interpolate(
            masks, (side, side), mode="bilinear", align_corners=False, antialias=True
        )
        mask = (given >= 0.5).float()
        return self.parts.run(self.network.decode_given_mask, features, mask)


def is_foreground(logits: Tensor) -> Tensor:
    """Threshold mask logits (float32) as the references do: sigmoid above one half."""
    return logits > SIGMOID_IS_HALF
