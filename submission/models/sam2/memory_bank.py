"""Keys and values of what a tracked frame sees, side by side in memory that is laid out once.

Per layer one block of tokens, (B, N, C) each:

    pointers, filled from the right | prompted maps | recent maps, filled from the left

So whatever is in sight is one slice without gaps, and nothing is copied to join it. Prompted maps
are written once, placed in time. Recent maps move back in time with every frame: their keys are
written anew with the time of now, 6 of M + 6 maps; their values stay where they are. The order of
keys does not change attention.
"""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from submission.models.sam2.memory_attention import MemoryKeys, MemoryReader, RecentMap


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
        is_narrow = reader.kernels.of(objects).is_narrow
        values = like.shape[-1] if is_narrow else width
        self.reader = reader
        self.cells = cells
        self.start = pointers * (width // like.shape[-1])  # pointers end and maps begin here
        self.room = prompted  # prompted maps that fit
        length = self.start + (prompted + recent) * cells
        layers = len(reader.times)
        self.keys = [like.new_zeros(objects, length, width) for _ in range(layers)]
        self.values = [
            like.new_zeros(objects, length, values) for _ in range(1 if is_narrow else layers)
        ]
        self._prompted: dict[int, int] = {}  # time of a map -> its place among the prompted ones
        self._recent: dict[int, int] = {}  # time of a map in sight -> its place, behind those

    def show_prompted(self, maps: Mapping[int, Tensor], slot: int) -> None:
        """Hold exactly these prompted maps (B, K, S, S), by time, at a slot of the temporal table.

        What is there already stays; a map that has come takes the place of one that has gone.
        """
        assert len(maps) == self.room
        self._prompted, moved = _seat(self._prompted, maps)
        for time in moved:
            place = self._prompted[time]
            self._write_keys(place, self.reader.project_keys(maps[time]), slot)
            self._write_values(place, self.reader.project_values(maps[time]))

    def show(
        self, recent: Mapping[int, tuple[RecentMap, int]], pointers: Sequence[Tensor]
    ) -> MemoryKeys:
        """Write recent maps, by time, each with its slot of the temporal table; pointers (B, C).

        Returns all that is in sight: a view into the bank, valid until the next call.
        """
        before = self._recent
        self._recent, moved = _seat(before, recent, first=self.room)
        for time in moved:
            values = (
                [self._at(block, before[time]) for block in self.values]
                if time in before
                else self.reader.project_values(recent[time][0].memory)
            )
            self._write_values(self._recent[time], values)
        for time, (one, slot) in recent.items():
            self._write_keys(self._recent[time], one.keys, slot)
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

    def _write_keys(self, place: int, keys: Sequence[Tensor], slot: int) -> None:
        for block, some, times in zip(self.keys, keys, self.reader.times, strict=True):
            _add_into(self._at(block, place), some, times[slot])

    def _write_values(self, place: int, values: Sequence[Tensor]) -> None:
        for block, some in zip(self.values, values, strict=True):
            self._at(block, place).copy_(some)

    def _at(self, block: Tensor, place: int) -> Tensor:
        """The part of a block that holds a map, (B, S*S, C)."""
        begin = self.start + place * self.cells
        return block[:, begin : begin + self.cells]

    def _write(self, begin: int, memory: MemoryKeys) -> None:
        blocks = zip([*self.keys, *self.values], [*memory.keys, *memory.values], strict=True)
        for block, tokens in blocks:
            block[:, begin : begin + tokens.shape[1]] = tokens


def _seat(
    before: Mapping[int, int], times: Collection[int], first: int = 0
) -> tuple[dict[int, int], list[int]]:
    """Give maps the places from `first` on, without gaps; who sits in one of them stays there.

    Returns the place of each, and the times of those that have to be written there.
    """
    wanted = range(first, first + len(times))
    kept = {time: place for time, place in before.items() if time in times and place in wanted}
    free = sorted(set(wanted) - set(kept.values()))
    moved = [time for time in times if time not in kept]
    return kept | dict(zip(moved, free, strict=True)), moved


def _add_into(place: Tensor, first: Tensor, second: Tensor) -> None:
    if first.requires_grad or second.requires_grad:
        place.copy_(first + second)
    else:
        torch.add(first, second, out=place)  # one pass over memory instead of two


def _seen(block: Tensor, begin: int, end: int) -> Tensor:
    seen = block[:, begin:end]
    # A gradient needs what this frame saw, and the next one writes over it.
    return seen.clone() if seen.requires_grad else seen
