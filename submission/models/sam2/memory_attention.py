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

from submission.models.sam2.attention_kernel import choose_kernels
from submission.models.sam2.fast_layers import linear_and_relu
from submission.models.sam2.fixed_parts import EAGER, FixedParts
from submission.models.sam2.network import GroundingNetwork, ImageFeatures


@dataclass(frozen=True)
class MemoryKeys:
    """Memory as each layer of the attention sees it, for B objects and N tokens."""

    keys: tuple[Tensor, ...]  # per layer (B, N, C), rotated
    values: tuple[Tensor, ...]  # per layer (B, N, C); one (B, N, K) for all with a narrow kernel


@dataclass(frozen=True)
class RecentMap:
    """A memory map whose distance to the reader changes with every frame."""

    memory: Tensor  # (B, K, S, S)
    keys: tuple[Tensor, ...]  # per layer (B, S*S, C), rotated, not yet placed in time


@dataclass(frozen=True)
class _Asking:
    """A frame between two looks at memory."""

    state: Tensor  # (1 or B, S*S, C)
    query: Tensor  # the same shape; empty behind the last layer


class MemoryReader:
    """The attention over memory, for the weights that the network has now."""

    def __init__(self, network: GroundingNetwork) -> None:
        self.network = network
        self.wanted = network.attention
        self.attention = network.memory_attention
        self.layers = list(network.memory_attention.layers)
        self.crosses = [layer.cross_attn_image for layer in self.layers]
        self.place = as_tokens(network.memory_position())  # (1, S*S, K)
        keys = self.crosses[0].k_proj.bias
        self.kernels = choose_kernels(keys, network.config, network.attention)
        device = self.place.device
        self.rotations = [cross.freqs_cis.to(device) for cross in self.crosses]
        slots = network.maskmem_tpos_enc[:, 0]  # (slots, 1, K)
        self.times = [  # per layer (slots, S*S, C): what a slot adds to the keys
            rotate(
                F.linear(slots, cross.k_proj.weight).expand(-1, self.place.shape[1], -1), rotation
            )
            for cross, rotation in zip(self.crosses, self.rotations, strict=True)
        ]
        self._position: Tensor | None = None

    def project_keys(self, memory: Tensor) -> tuple[Tensor, ...]:
        """Turn a memory map (B, K, S, S) into each layer's keys, not yet placed in time."""
        placed = self._tokens(memory) + self.place
        return tuple(
            rotate(cross.k_proj(placed), rotation)
            for cross, rotation in zip(self.crosses, self.rotations, strict=True)
        )

    def project_values(self, memory: Tensor) -> tuple[Tensor, ...]:
        """Turn a memory map (B, K, S, S) into values, which know no time."""
        return self._values(self._tokens(memory))

    def project_pointers(self, pointers: Sequence[Tensor]) -> MemoryKeys:
        """Split object pointers (B, C) into C/K tokens of a map's width each, without a place."""
        size = self.place.shape[-1]
        parts = [one.to(self.place.dtype).reshape(len(one), -1, size) for one in pointers]
        tokens = torch.cat(parts, dim=1)
        return MemoryKeys(
            tuple(cross.k_proj(tokens) for cross in self.crosses), self._values(tokens)
        )

    def _tokens(self, memory: Tensor) -> Tensor:
        return as_tokens(memory).to(self.place.dtype)  # (B, S*S, K)

    def _values(self, tokens: Tensor) -> tuple[Tensor, ...]:
        if self.kernels.of(len(tokens)).is_narrow:
            return (tokens,)
        return tuple(cross.v_proj(tokens) for cross in self.crosses)

    def read(
        self, features: ImageFeatures, memory: MemoryKeys, parts: FixedParts = EAGER
    ) -> Tensor:
        """Fuse a frame's map (1, C, S, S) with memory.

        Returns (B, C, S, S). Until the first look at memory the frame is the same for all objects
        and is computed once. What lies between two looks at memory has a shape that stays, and
        runs as `parts` has it; the length of memory changes with the frames.
        """
        side = features.stride16.shape[-1]
        kernel = self.kernels.of(len(memory.keys[0]))
        asking = parts.run(self._begin, features)
        for index, keys in enumerate(memory.keys):
            values = memory.values[0 if kernel.is_narrow else index]
            seen = kernel.attend(asking.query, keys, values)
            asking = parts.run(self._go_on, index, asking, seen)
        fused = asking.state
        return fused.transpose(1, 2).reshape(*fused.shape[::2], side, side)

    def _begin(self, features: ImageFeatures) -> _Asking:
        """What the first layer asks of memory."""
        return self._ask(0, as_tokens(features.stride16) + self._position_of(features))

    def _go_on(self, index: int, asking: _Asking, seen: Tensor) -> _Asking:
        """End a layer with what it saw (B, S*S, C or K), and ask with the next one."""
        layer, cross = self.layers[index], self.crosses[index]
        if self.kernels.of(len(seen)).is_narrow:
            seen = cross.v_proj(seen)
        state = asking.state + cross.out_proj(seen)  # (B, S*S, C)
        # Under no name: it is the widest map, and would outlive its layer.
        state = state + layer.linear2(linear_and_relu(layer.linear1, layer.norm3(state)))
        if index + 1 < len(self.layers):
            return self._ask(index + 1, state)
        fused: Tensor = self.attention.norm(state)
        return _Asking(fused, fused[:0])

    def _ask(self, index: int, state: Tensor) -> _Asking:
        layer, cross = self.layers[index], self.crosses[index]
        state = state + self._attend_to_itself(index, layer.norm1(state))
        return _Asking(state, rotate(cross.q_proj(layer.norm2(state)), self.rotations[index]))

    def _attend_to_itself(self, index: int, tokens: Tensor) -> Tensor:
        """Self-attention of a layer over the places of a frame, (1 or B, S*S, C)."""
        own, rotation = self.layers[index].self_attn, self.rotations[index]
        query, key = (rotate(turn(tokens), rotation) for turn in (own.q_proj, own.k_proj))
        attend = self.kernels.of(len(tokens)).within
        seen: Tensor = own.out_proj(attend(query, key, own.v_proj(tokens)))
        return seen

    def _position_of(self, features: ImageFeatures) -> Tensor:
        """Where in the frame a token is, (1, S*S, C): the same in every frame."""
        if self._position is None:
            self._position = 0.1 * as_tokens(self.network.position_of(features))
        return self._position


def as_tokens(maps: Tensor) -> Tensor:
    """(B, C, S, S) -> (B, S*S, C)."""
    return maps.flatten(2).transpose(1, 2)


def rotate(tokens: Tensor, rotation: Tensor) -> Tensor:
    """Apply 2-D rotary encoding: tokens (..., S*S, C), rotation (S*S, C/2) complex, in float32."""
    pairs = torch.view_as_complex(tokens.float().view(*tokens.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * rotation).flatten(-2).to(tokens.dtype)
