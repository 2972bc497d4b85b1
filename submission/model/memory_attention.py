"""Read a frame in the light of memory, whose keys and values are made once and kept.

SAM 2's memory attention as the library has it projects and rotates all memory anew for every frame.
Here a memory map becomes keys and values when it is written. Only a key's temporal part depends on
the distance to the reader; projection and rotation are linear, so that part is a table that is
added: rotate(W(map + place + time) + b) = rotate(W(map + place) + b) + rotate(W time).
Weights are those of the library's modules; nothing here remembers anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from submission.model.grounding import GroundingNetwork


@dataclass(frozen=True)
class MemoryKeys:
    """Memory as each layer of the attention sees it, for B objects and N tokens."""

    keys: tuple[Tensor, ...]  # per layer (B, N, C), rotated
    values: tuple[Tensor, ...]  # per layer (B, N, C)


class MemoryReader:
    """The attention over memory, for the weights that the network has now."""

    def __init__(self, network: GroundingNetwork) -> None:
        self.attention = network.memory_attention
        self.layers = list(network.memory_attention.layers)
        self.place = as_tokens(network.memory_position())  # (1, S*S, K)
        device = self.place.device
        self.rotations = [layer.cross_attn_image.freqs_cis.to(device) for layer in self.layers]
        slots = network.maskmem_tpos_enc[:, 0]  # (slots, 1, K)
        self.times = [  # per layer (slots, S*S, C): what a slot adds to the keys
            _rotate(
                F.linear(slots, layer.cross_attn_image.k_proj.weight).expand(
                    -1, self.place.shape[1], -1
                ),
                rotation,
            )
            for layer, rotation in zip(self.layers, self.rotations, strict=True)
        ]

    def project(self, memory: Tensor) -> MemoryKeys:
        """Turn a memory map (B, K, S, S) into keys and values, not yet placed in time."""
        values = as_tokens(memory).to(self.place.dtype)  # (B, S*S, K)
        keys = values + self.place
        return MemoryKeys(
            tuple(
                _rotate(layer.cross_attn_image.k_proj(keys), rotation)
                for layer, rotation in zip(self.layers, self.rotations, strict=True)
            ),
            tuple(layer.cross_attn_image.v_proj(values) for layer in self.layers),
        )

    def put_in_time(self, memory: MemoryKeys, slot: int) -> MemoryKeys:
        """Add the temporal part of a slot to the keys of one memory map."""
        keys = zip(memory.keys, self.times, strict=True)
        return MemoryKeys(tuple(key + times[slot] for key, times in keys), memory.values)

    def read(
        self,
        image: Tensor,
        position: Tensor,
        memory: Sequence[MemoryKeys],
        pointers: Sequence[Tensor],
    ) -> Tensor:
        """Fuse a frame's map (1, C, S, S) with memory and object pointers (B, C) each.

        Returns (B, C, S, S). Until the first look at memory the frame is the same for all objects
        and is computed once.
        """
        side = image.shape[-1]
        state = as_tokens(image) + 0.1 * as_tokens(position)  # (1, S*S, C)
        tokens = self._pointer_tokens(pointers, memory[0].keys[0])
        for index, layer in enumerate(self.layers):
            normed = layer.norm1(state)
            state = state + layer.self_attn(normed, normed, normed)
            cross = layer.cross_attn_image
            query = _rotate(cross.q_proj(layer.norm2(state)), self.rotations[index])
            keys = torch.cat([*(part.keys[index] for part in memory), cross.k_proj(tokens)], dim=1)
            values = torch.cat(
                [*(part.values[index] for part in memory), cross.v_proj(tokens)], dim=1
            )
            seen = F.scaled_dot_product_attention(
                query.expand(len(keys), -1, -1)[:, None], keys[:, None], values[:, None]
            )[:, 0]
            state = state + cross.out_proj(seen)  # (B, S*S, C)
            hidden = layer.activation(layer.linear1(layer.norm3(state)))
            state = state + layer.linear2(hidden)
        fused: Tensor = self.attention.norm(state)
        return fused.transpose(1, 2).reshape(*fused.shape[::2], side, side)

    def _pointer_tokens(self, pointers: Sequence[Tensor], like: Tensor) -> Tensor:
        """Split object pointers (B, C) into tokens of a memory map's width: (B, N, K)."""
        size = self.place.shape[-1]
        parts = [pointer.to(like.dtype).view(len(like), -1, size) for pointer in pointers]
        return torch.cat(parts, dim=1) if parts else like.new_zeros(len(like), 0, size)


def join(parts: Sequence[MemoryKeys]) -> MemoryKeys:
    """Join memory maps, placed in time, into one long memory."""
    layers = range(len(parts[0].keys))
    return MemoryKeys(
        tuple(torch.cat([part.keys[index] for part in parts], dim=1) for index in layers),
        tuple(torch.cat([part.values[index] for part in parts], dim=1) for index in layers),
    )


def as_tokens(maps: Tensor) -> Tensor:
    """(B, C, S, S) -> (B, S*S, C)."""
    return maps.flatten(2).transpose(1, 2)


def _rotate(tokens: Tensor, rotation: Tensor) -> Tensor:
    """Apply 2-D rotary encoding: tokens (..., S*S, C), rotation (S*S, C/2) complex, in float32."""
    pairs = torch.view_as_complex(tokens.float().view(*tokens.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * rotation).flatten(-2).to(tokens.dtype)
