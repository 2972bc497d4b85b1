"""What SAM 2 takes to carry masks: units times how often they come, against a whole video."""

import json

import pytest
import torch

from submission.experts.propagate.sam2_cost import DRAW, GIVEN, TRACKED, Sam2Cost
from submission.models.counting import count, empty
from submission.models.sam2.policy import AS_TRAINED
from submission.models.sam2.sizes import read_grounding
from submission.models.sam2.tracker import Tracker
from submission.models.sam2.work_units import Sam2Units
from submission.models.workload import IMAGES, NOTHING, Clip, Limits
from submission.recipes.find import PACKAGED

SMALL = read_grounding(json.loads((PACKAGED.parent / "samples/small-5/config.json").read_text()))
SIZE = (96, 128)


@pytest.fixture
def cost(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Sam2Cost(lambda: SMALL)


def test_both_ways_add_up_to_a_whole_video(cost):
    network = Sam2Units(SMALL, AS_TRAINED, tuned=False).network
    side = SMALL.image_size
    whole = NOTHING
    with torch.inference_mode():
        seen = network.encode_images(empty(1, 3, side, side))[0]
        for steps in (4, 5):  # behind the key frame 5 of ten, and before it
            tracker = Tracker(network, AS_TRAINED, frame_size=SIZE)
            given = empty(1, 1, *SIZE).float()
            whole += count(lambda: tracker.give(0, seen, given))  # noqa: B023
            for time in range(1, steps + 1):
                whole += count(lambda: tracker.track(time, seen))  # noqa: B023
    one, three = (cost.work(10, SIZE, n, 8) for n in (1, 3))
    told = one[GIVEN] + one[TRACKED]
    assert told.flop == pytest.approx(whole.flop, rel=5e-3)
    assert told.values == pytest.approx(whole.values, rel=0.05)
    assert three[IMAGES] == one[IMAGES], "a frame is encoded once for all"
    assert three[TRACKED].flop == pytest.approx(3 * one[TRACKED].flop)
    assert three[DRAW].values == pytest.approx(3 * one[DRAW].values)
    assert cost.work(10, SIZE, 0, 8) == {}
    assert TRACKED in cost.work(1, SIZE, 1, 8), "a video of one frame has nothing to track"
    assert cost.work(1, SIZE, 1, 8)[TRACKED] == NOTHING


def test_memory_grows_with_what_goes_at_once(cost):
    def peak(objects):
        clip = Clip(40, 16, *SIZE)
        return cost.memory(clip, Limits(objects_at_once=objects), gpu_bytes=8e9, value_bytes=2)

    assert peak(1) < peak(4) < peak(16)
    assert cost.weights(4) == 2 * cost.weights(2) > 0
