"""Keys and values of what a tracked frame sees, side by side in memory that is laid out once.

Per layer one block of tokens, (B, N, C) each:

    pointers, filled from the right | prompted maps | recent maps, filled from the left

So whatever is in sight is one slice without gaps, and nothing is copied to join it. Prompted maps
are written once, placed in time. Recent maps move back in time with every frame: their keys are
written anew with the time of now, 6 of M + 6 maps. The order of keys does not change attention.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from submission.model.memory_attention import MemoryKeys, MemoryReader


class MemoryBank:
    """Room for what B objects see in any frame: maps, recent ones and pointers of a video.

    It keeps B x N x (layers x C + K) values with a narrow kernel and B x N x layers x 2C with the
    others, where N = (prompted + recent maps) x S x S + pointers x C / K.
    """

    def __init__(
        self, reader: MemoryReader, objects: int, *, prompted: int, recent: int, pointers: int
    ) -> None:
        like = reader.place
        cells, width = like.shape[1], reader.times[0].shape[-1]
        values = like.shape[-1] if reader.kernel.is_narrow else width
        self.reader = reader
        self.cells = cells
        self.start = pointers * (width // like.shape[-1])  # pointers end and maps begin here
        self.room = prompted  # prompted maps that fit
        length = self.start + (prompted + recent) * cells
        layers = len(reader.times)
        self.keys = [like.new_zeros(objects, length, width) for _ in range(layers)]
        self.values = [
            like.new_zeros(objects, length, values)
            for _ in range(1 if reader.kernel.is_narrow else layers)
        ]
        self._slots: dict[int, int] = {}  # time of a prompted map -> its place among them

    @property
    def num_bytes(self) -> int:
        """What the bank holds, in bytes."""
        return sum(block.numel() * block.element_size() for block in [*self.keys, *self.values])

    def show_prompted(self, maps: Mapping[int, Tensor], slot: int) -> None:
        """Hold exactly these prompted maps (B, K, S, S), by time, at a slot of the temporal table.

        What is there already stays; a map that has come takes the place of one that has gone.
        """
        assert len(maps) == self.room
        kept = {time: place for time, place in self._slots.items() if time in maps}
        free = sorted(set(range(self.room)) - set(kept.values()))
        for time, place in zip((t for t in maps if t not in kept), free, strict=True):
            self._write_map(place, self.reader.project(maps[time]), slot)
            kept[time] = place
        self._slots = kept

    def show(
        self, recent: Sequence[tuple[MemoryKeys, int]], pointers: Sequence[Tensor]
    ) -> MemoryKeys:
        """Write recent maps, each with its slot of the temporal table, and pointers (B, C).

        Returns all that is in sight: a view into the bank, valid until the next call.
        """
        for place, (keys, slot) in enumerate(recent, self.room):
            self._write_map(place, keys, slot)
        begin = self.start
        if pointers:
            tokens = self.reader.project_pointers(pointers)
            begin -= tokens.keys[0].shape[1]
            self._write(begin, tokens)
        end = self.start + (self.room + len(recent)) * self.cells
        return MemoryKeys(
            tuple(_seen(block, begin, end) for block in self.keys),
            tuple(_seen(block, begin, end) for block in self.values),
        )

    def _write_map(self, place: int, memory: MemoryKeys, slot: int) -> None:
        begin = self.start + place * self.cells
        for block, keys, times in zip(self.keys, memory.keys, self.reader.times, strict=True):
            _add_into(block[:, begin : begin + self.cells], keys, times[slot])
        for block, values in zip(self.values, memory.values, strict=True):
            block[:, begin : begin + self.cells] = values

    def _write(self, begin: int, memory: MemoryKeys) -> None:
        blocks = zip([*self.keys, *self.values], [*memory.keys, *memory.values], strict=True)
        for block, tokens in blocks:
            block[:, begin : begin + tokens.shape[1]] = tokens


def _add_into(place: Tensor, first: Tensor, second: Tensor) -> None:
    if first.requires_grad or second.requires_grad:
        place.copy_(first + second)
    else:
        torch.add(first, second, out=place)  # one pass over memory instead of two


def _seen(block: Tensor, begin: int, end: int) -> Tensor:
    seen = block[:, begin:end]
    # A gradient needs what this frame saw, and the next one writes over it.
    return seen.clone() if seen.requires_grad else seen
