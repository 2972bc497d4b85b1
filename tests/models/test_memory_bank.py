"""Memory is laid out once and written in place, and the frame sees what SAM 2 would show it."""

from itertools import pairwise
from unittest.mock import patch

import pytest
import torch
from models.cases import random
from torch import Tensor
from torch.testing import assert_close

from submission.models.sam2 import attention, memory_attention
from submission.models.sam2.approximation import Approximation
from submission.models.sam2.attention import AttentionKernel, Kernels, for_any_number
from submission.models.sam2.memory_attention import MemoryReader
from submission.models.sam2.network import GroundingNetwork, ImageFeatures
from submission.models.sam2.policy import TrackerPolicy
from submission.models.sam2.tracker import MAX_POINTERS, MAX_RECENT_MAPS, PROMPTED_SLOT, Tracker

PROMPTED = (0, 9, 20)
OBJECTS = 2
LENGTH = 30

pytestmark = pytest.mark.usefixtures("without_gradients")


@pytest.fixture
def network(sa2va) -> GroundingNetwork:
    return sa2va.network.grounding


def features_of(network: GroundingNetwork, time: int) -> ImageFeatures:
    side = network.config.image_size
    return network.encode_images(random(1, 3, side, side, seed=time))[0]


class Recorded:
    """A tracker with a past of random maps and pointers, and the same past as plain tensors."""

    def __init__(self, network: GroundingNetwork, now: int, **settings: object) -> None:
        config = network.config
        side = config.feature_size
        self.network, self.now = network, now
        self.tracker = Tracker(network, TrackerPolicy(), frame_size=(120, 160), **settings)
        self.maps = {
            time: random(OBJECTS, config.memory_size, side, side, seed=time)
            for time in {*range(now), *PROMPTED}
        }
        self.pointers = {
            time: random(OBJECTS, config.hidden_size, seed=100 + time) for time in self.maps
        }
        for time, kept in self.maps.items():
            self.tracker.remember(time, kept, self.pointers[time], prompted=time in PROMPTED)

    def seen(self) -> Tensor:
        return self.tracker.condition(self.now, features_of(self.network, self.now))

    def seen_by_the_library(self) -> Tensor:
        """SAM 2's own memory attention, which projects all memory for this one frame."""
        network, now = self.network, self.now
        place = network.memory_position().flatten(2).permute(2, 0, 1)
        slots = {
            time: PROMPTED_SLOT if time in PROMPTED else now - time - 1
            for time in self.maps
            if time in PROMPTED or now - time <= MAX_RECENT_MAPS
        }
        shown = [time for time in PROMPTED if time <= now]
        shown += [t for t in self.maps if t not in PROMPTED and now - t < MAX_POINTERS]
        tokens = [
            part.reshape(OBJECTS, -1, place.shape[-1]).transpose(0, 1)
            for part in (self.pointers[time] for time in shown)
        ]
        positions = [place + network.maskmem_tpos_enc[slot] for slot in slots.values()]
        count = sum(map(len, tokens))
        image = features_of(network, now)
        found = network.memory_attention(
            curr=image.stride16.flatten(2).permute(2, 0, 1).expand(-1, OBJECTS, -1),
            curr_pos=network.position_of(image).flatten(2).permute(2, 0, 1),
            memory=torch.cat([self.maps[t].flatten(2).permute(2, 0, 1) for t in slots] + tokens),
            memory_pos=torch.cat([*positions, place.new_zeros(count, 1, place.shape[-1])]).expand(
                -1, OBJECTS, -1
            ),
            num_obj_ptr_tokens=count,
        )
        return found.permute(1, 2, 0).reshape(OBJECTS, -1, *image.stride16.shape[-2:])


FUSED = attention.attend_fused
WIDE = AttentionKernel("wide", False, FUSED, FUSED)
NARROW = AttentionKernel("narrow", True, FUSED, FUSED)
KERNELS = {
    "blocks": None, "sdpa": for_any_number(WIDE), "narrow sdpa": for_any_number(NARROW),
    "narrow for many": Kernels(WIDE, NARROW, OBJECTS),
}  # fmt: skip


@pytest.mark.parametrize("now", [1, 7, 12, 18, 21, 28])
@pytest.mark.parametrize("kernels", KERNELS)
def test_a_frame_sees_what_the_library_would_show_it(network, now, kernels, monkeypatch):
    if (chosen := KERNELS[kernels]) is not None:
        monkeypatch.setattr(memory_attention, "choose_kernels", lambda *_: chosen)
    past = Recorded(network, now)
    assert_close(past.seen(), past.seen_by_the_library(), rtol=1e-4, atol=2e-5)


def test_a_map_at_a_wrong_time_is_noticed(network):
    """The negative control: one frame's shift in time is more than the tolerance above."""
    past = Recorded(network, 12)
    expected = past.seen_by_the_library()
    past.tracker.memory.recent_maps[11], past.tracker.memory.recent_maps[10] = (
        past.tracker.memory.recent_maps[10],
        past.tracker.memory.recent_maps[11],
    )
    with pytest.raises(AssertionError):
        assert_close(past.seen(), expected, rtol=1e-4, atol=2e-5)


def test_memory_stays_where_it_is_and_maps_are_projected_once(network):
    tracker = Tracker(network, TrackerPolicy(), frame_size=(120, 160))
    language = random(OBJECTS, network.config.hidden_size)
    with counted("project_keys") as keys, counted("project_values") as values:
        for time in PROMPTED:
            tracker.prompt(time, features_of(network, time), language)
        places = []
        for time in (t for t in range(LENGTH) if t not in PROMPTED):
            tracker.track(time, features_of(network, 0))
            places.append([block.data_ptr() for block in tracker._bank.keys])
    assert all(one == other for one, other in pairwise(places))
    assert keys.call_count == LENGTH
    assert values.call_count == LENGTH - 1  # nobody looks at what the last frame left


def counted(name: str):
    """Count the calls of a method of the reader."""
    method = getattr(MemoryReader, name)
    return patch.object(MemoryReader, name, autospec=True, side_effect=method)


@pytest.mark.parametrize("rough", [{}, {"memory_stride": 2}, {"nearest_prompts": 1}], ids=str)
def test_a_bank_that_was_used_for_long_shows_what_a_new_one_shows(network, rough):
    """Maps change their places where a prompted frame was passed; the order is of no account."""
    settings = {"approximation": Approximation(**rough)}
    whole = Recorded(network, LENGTH)
    tracker = Tracker(network, TrackerPolicy(), frame_size=(120, 160), **settings)
    image = features_of(network, 0)
    for time in PROMPTED:
        tracker.remember(time, whole.maps[time], whole.pointers[time], prompted=True)
    moved = 0
    for time in (t for t in range(LENGTH) if t not in PROMPTED):
        before = dict(tracker._bank._recent) if tracker._bank else {}
        used = tracker.condition(time, image)
        after = tracker._bank._recent
        moved += sum(after[t] != before[t] for t in before.keys() & after.keys())
        assert_close(used, Recorded(network, time, **settings).tracker.condition(time, image))
        tracker.memory.forget_before(time + 1)
        tracker.remember(time, whole.maps[time], whole.pointers[time], prompted=False)
    assert moved


def test_the_bytes_of_the_bank_are_what_its_description_says(network):
    past = Recorded(network, 18)
    past.seen()
    config = network.config
    maps = len(PROMPTED) + MAX_RECENT_MAPS
    ratio = config.hidden_size // config.memory_size
    tokens = maps * config.feature_size**2 + (len(PROMPTED) + MAX_POINTERS - 1) * ratio
    wide = config.memory_layers * config.hidden_size
    bank = past.tracker._bank
    held = sum(block.nbytes for block in [*bank.keys, *bank.values])
    assert held == 4 * OBJECTS * tokens * (wide + config.memory_size)
