"""Which frames a tracked frame sees, and that what is remembered does not grow with the video."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from submission.models.sa2va.model import Sa2VA
from submission.models.sam2.network import ImageFeatures
from submission.models.sam2.policy import TrackerPolicy
from submission.models.sam2.tracker import MAX_POINTERS, Tracker

PROMPTED = (0, 20)
NOW, LENGTH = 18, 30

pytestmark = pytest.mark.usefixtures("without_gradients")


@pytest.fixture
def features(sa2va) -> ImageFeatures:
    grounding = sa2va.network.grounding
    side = grounding.config.image_size
    pixels = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    return grounding.encode_images(pixels)[0]


def new_tracker(model: Sa2VA) -> Tracker:
    return Tracker(model.network.grounding, TrackerPolicy(), frame_size=(120, 160))


def look(
    model: Sa2VA,
    features: ImageFeatures,
    maps: dict[int, Tensor],
    pointers: dict[int, Tensor],
) -> Tensor:
    """What the frame at NOW makes of a memory of prompted frames and of all frames before it."""
    tracker = new_tracker(model)
    for time, memory_map in maps.items():
        tracker.remember(time, memory_map, pointers[time], prompted=time in PROMPTED)
    tracker.memory.forget_before(NOW)  # only what is out of sight
    return tracker.condition(NOW, features)


def test_a_frame_sees_prompted_frames_and_its_recent_past(sa2va, features):
    config = sa2va.network.grounding.config
    generator = torch.Generator().manual_seed(0)
    side, times = config.feature_size, [*range(NOW), PROMPTED[1]]
    maps = {
        time: torch.randn(1, config.memory_size, side, side, generator=generator) for time in times
    }
    pointers = {time: torch.randn(1, config.hidden_size, generator=generator) for time in times}
    before = look(sa2va, features, maps, pointers)
    seen_maps = {
        time
        for time in times
        if not torch.equal(before, look(sa2va, features, maps | {time: -maps[time]}, pointers))
    }
    seen_pointers = {
        time
        for time in times
        if not torch.equal(before, look(sa2va, features, maps, pointers | {time: -pointers[time]}))
    }
    assert seen_maps == {0, 20, *range(12, 18)}  # prompted ones, also of the future; six recent
    assert seen_pointers == {0, *range(3, 18)}  # prompted ones of the past; fifteen recent


def test_time_tells_recent_frames_apart_and_prompted_ones_not(sa2va, features):
    config = sa2va.network.grounding.config
    size = (1, config.memory_size, config.feature_size, config.feature_size)
    pointer = torch.zeros(1, config.hidden_size)

    def seen(recent: int, prompted: int) -> Tensor:
        tracker = new_tracker(sa2va)
        tracker.remember(prompted, torch.ones(size), pointer, prompted=True)
        tracker.remember(recent, -torch.ones(size), pointer, prompted=False)
        return tracker.condition(NOW, features)

    for near, far in pairwise(range(NOW - 1, NOW - 7, -1)):
        assert (seen(near, 0) - seen(far, 0)).abs().max() > 1e-4
    assert torch.equal(seen(NOW - 1, 0), seen(NOW - 1, 9))


def test_a_frame_prompted_later_is_seen_too(sa2va, features):
    config = sa2va.network.grounding.config
    size = (1, config.memory_size, config.feature_size, config.feature_size)
    pointer = torch.zeros(1, config.hidden_size)
    at_once, in_turn = new_tracker(sa2va), new_tracker(sa2va)
    for tracker in (at_once, in_turn):
        tracker.remember(0, torch.ones(size), pointer, prompted=True)
    first = in_turn.condition(NOW, features)
    for tracker in (at_once, in_turn):
        tracker.remember(9, -torch.ones(size), pointer, prompted=True)
    assert torch.equal(in_turn.condition(NOW, features), at_once.condition(NOW, features))
    assert not torch.equal(in_turn.condition(NOW, features), first)


def test_memory_does_not_grow_with_the_video(sa2va, features):
    tracker = new_tracker(sa2va)
    language = torch.zeros(2, sa2va.network.grounding.config.hidden_size)
    tracker.prompt(0, features, language)
    sizes = []
    for time in range(1, LENGTH):
        assert tracker.track(time, features).logits.shape[:2] == (2, 1)
        sizes.append(sum(len(kept) for kept in vars(tracker.memory).values()))
    assert len(set(sizes[MAX_POINTERS:])) == 1, "it should level off after the longest window"
    assert sizes[0] < sizes[MAX_POINTERS]
