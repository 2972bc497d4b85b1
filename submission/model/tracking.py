"""Follow all objects of one video through time, in lock-step as a batch.

The tracker owns everything that is remembered: for each frame a memory map and an object pointer
per object. Prompted frames stay for ever and are seen by every other frame, also by earlier ones;
of the tracked frames only the last six maps and fifteen pointers are kept. So memory use does not
grow with the length of the video. Objects never influence one another.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from submission.model.grounding import (
    NUM_MEMORY_FRAMES,
    DecodedMasks,
    GroundingNetwork,
    ImageFeatures,
)

MAX_RECENT_MAPS = NUM_MEMORY_FRAMES - 1  # previous frames whose memory maps are attended to
MAX_POINTERS = 16  # window of object pointers in frames, the current one included
PROMPTED_SLOT = NUM_MEMORY_FRAMES - 1  # temporal embedding of prompted frames, near or far


@dataclass(frozen=True)
class MemoryFrame:
    """What one frame leaves behind for B objects."""

    features: Tensor  # (B, K, S, S) bfloat16 memory map
    pointer: Tensor  # (B, C) object pointer


@dataclass
class Memory:
    """The frames that can be attended to, by time."""

    prompted: dict[int, MemoryFrame] = field(default_factory=dict)
    tracked: dict[int, MemoryFrame] = field(default_factory=dict)

    def forget_before(self, time: int) -> None:
        """Drop tracked frames that no frame from `time` on can see."""
        oldest = time - MAX_POINTERS + 1
        self.tracked = {t: frame for t, frame in self.tracked.items() if t >= oldest}


def attended_maps(time: int, memory: Memory) -> list[tuple[int, MemoryFrame]]:
    """Memory maps that the frame at `time` sees, with temporal slots (0: the frame before)."""
    prompted = [(PROMPTED_SLOT, frame) for frame in memory.prompted.values()]
    recent = [
        (distance - 1, memory.tracked[time - distance])
        for distance in range(MAX_RECENT_MAPS, 0, -1)
        if time - distance in memory.tracked
    ]
    return prompted + recent


def attended_pointers(time: int, memory: Memory, num_frames: int) -> list[Tensor]:
    """Object pointers (B, C) that the frame at `time` sees: prompted ones of its past, recent."""
    prompted = [frame.pointer for t, frame in memory.prompted.items() if t <= time]
    recent = [
        memory.tracked[time - distance].pointer
        for distance in range(1, min(num_frames, MAX_POINTERS))
        if time - distance in memory.tracked
    ]
    return prompted + recent


class Tracker:
    """Prompt some frames, then track the others in order of time.

    Parameters
    ----------
    procedure
        "sa2va": masks of prompted frames are kept as soft logits, tracked masks are never blanked.
        "sa2va-i": prompted masks are made hard and given to SAM 2 like a user's mask; tracked
        masks are blanked where the object score says that the object is absent.
    num_frames
        Length of the video; a video shorter than 16 frames shows one pointer less.
    frame_size
        (height, width) of the video; Sa2VA-i makes its masks hard at this size.
    chunk
        How many objects go through the network at once; bounds memory, not results.
    """

    def __init__(
        self, network: GroundingNetwork, *, procedure: str, num_frames: int,
        frame_size: tuple[int, int], chunk: int,
    ) -> None:  # fmt: skip
        self.network = network
        self.procedure = procedure
        self.num_frames = num_frames
        self.frame_size = frame_size
        self.chunk = chunk
        self.memory = Memory()
        self._map_positions: Tensor | None = None

    def prompt(self, time: int, features: ImageFeatures, language: Tensor) -> Tensor:
        """Find the objects of language embeddings (B, C) in a frame, and remember them.

        Returns mask logits (B, 1, 4S, 4S), float32.
        """
        decode = self._decode_soft if self.procedure == "sa2va" else self._decode_hard
        logits, frame = self._look(
            features, len(language), lambda part: decode(features, language[part])
        )
        self.memory.prompted[time] = frame
        return logits

    def track(self, time: int, features: ImageFeatures) -> Tensor:
        """Find the objects in the next frame from memory; frames must come in order of time.

        Returns mask logits (B, 1, 4S, 4S), float32.
        """
        self.memory.forget_before(time)
        objects = len(next(iter(self.memory.prompted.values())).pointer)
        consistent = self.procedure == "sa2va-i"
        logits, frame = self._look(
            features, objects,
            lambda part: self.network.decode_tracked(
                features, self.condition(time, features, part), consistent=consistent
            ),
        )  # fmt: skip
        self.memory.tracked[time] = frame
        return logits

    def condition(self, time: int, features: ImageFeatures, part: slice) -> Tensor:
        """Fuse a frame's stride-16 map with the memory of some objects: (b, C, S, S)."""
        network = self.network
        maps = attended_maps(time, self.memory)
        pointers = attended_pointers(time, self.memory, self.num_frames)
        dtype, image = features.stride16.dtype, features.stride16
        size, side = image.shape[1], image.shape[-1]
        slots = self._slot_positions(maps[0][1].features, dtype)  # (slots, S*S, 1, K)
        keys = [_as_tokens(frame.features[part]).to(dtype) for _, frame in maps]  # (S*S, b, K)
        positions = [slots[slot] for slot, _ in maps]
        tokens = [_split_pointer(pointer[part], keys[0].shape[-1]) for pointer in pointers]
        num_tokens = sum(map(len, tokens))
        positions.append(keys[0].new_zeros(num_tokens, 1, keys[0].shape[-1]))
        objects = keys[0].shape[1]
        fused = network.memory_attention(
            curr=_as_tokens(image).expand(-1, objects, -1),
            curr_pos=_as_tokens(network.position_of(features)),
            memory=torch.cat([*keys, *tokens]),
            memory_pos=torch.cat(positions),
            num_obj_ptr_tokens=num_tokens,
        )  # (S*S, b, C)
        return fused.permute(1, 2, 0).view(objects, size, side, side)  # type: ignore[no-any-return]

    def _look(
        self, features: ImageFeatures, objects: int, decode: Callable[[slice], DecodedMasks]
    ) -> tuple[Tensor, MemoryFrame]:
        """Decode a frame chunk by chunk and encode what was found as its memory."""
        logits, maps, pointers = [], [], []
        for part in _chunks(objects, self.chunk):
            found = decode(part)
            logits.append(found.logits)
            pointers.append(found.pointer)
            maps.append(self.network.encode_memory(features, found.logits))
        return torch.cat(logits), MemoryFrame(torch.cat(maps), torch.cat(pointers))

    def _decode_soft(self, features: ImageFeatures, language: Tensor) -> DecodedMasks:
        return self.network.decode_language(features, language)

    def _decode_hard(self, features: ImageFeatures, language: Tensor) -> DecodedMasks:
        soft = self.network.decode_language(features, language)
        shown = F.interpolate(soft.logits, self.frame_size, mode="bilinear", align_corners=False)
        side = self.network.config.image_size
        given = F.interpolate(
            is_foreground(shown).float(), (side, side), mode="bilinear", align_corners=False,
            antialias=True,
        )  # fmt: skip
        return self.network.decode_given_mask(features, (given >= 0.5).float())

    def _slot_positions(self, features: Tensor, dtype: torch.dtype) -> Tensor:
        if self._map_positions is None:
            place = self.network.memory_position(features).to(dtype)  # (1, K, S, S)
            slots = self.network.maskmem_tpos_enc.unsqueeze(1)  # (slots, 1, 1, 1, K)
            self._map_positions = _as_tokens(place) + slots[:, 0]
        return self._map_positions


def is_foreground(logits: Tensor) -> Tensor:
    """Threshold mask logits as the references do: sigmoid above one half, in float32."""
    return torch.sigmoid(logits) > 0.5


def _as_tokens(maps: Tensor) -> Tensor:
    """(B, C, S, S) -> (S*S, B, C), the order that SAM 2's memory attention reads."""
    return maps.flatten(2).permute(2, 0, 1)


def _split_pointer(pointer: Tensor, size: int) -> Tensor:
    """One pointer (B, C) -> C / size tokens (C / size, B, size)."""
    return pointer.view(len(pointer), -1, size).transpose(0, 1)


def _chunks(total: int, size: int) -> Iterable[slice]:
    return (slice(start, min(start + size, total)) for start in range(0, total, size))
