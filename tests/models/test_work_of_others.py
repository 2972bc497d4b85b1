"""Work of Cutie and UNINEXT: units times how often they come, against whole calls in one go."""

from functools import cache

import pytest
import torch
from models.uninext_cases import TINY

from submission.models.counting import META, count
from submission.models.cutie.settings import CutieSettings
from submission.models.cutie.work import FEATURES, STEPS
from submission.models.cutie.work import calls_of as cutie_calls
from submission.models.cutie.work_units import CutieUnits, shapes_alone
from submission.models.live_bytes import live_bytes
from submission.models.uninext.released import RELEASED
from submission.models.uninext.work import FEATURES as LOOKS
from submission.models.uninext.work import MEET, TEXT, alive
from submission.models.uninext.work import calls_of as uninext_calls
from submission.models.uninext.work_units import UninextUnits
from submission.models.unit_calls import Unit
from submission.models.workload import NOTHING


# --- Cutie ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def cutie():
    settings = CutieSettings(mem_every=2, max_mem_frames=2)
    units = CutieUnits("small", settings)
    return units, settings, cache(units)


def test_steps_add_up_to_a_whole_video_both_ways(cutie):
    units, settings, counted = cutie
    size = (96, 224)  # 84 tokens, which no counted square has
    told = {k: c.work(counted) for k, c in cutie_calls(settings, 10, size, 1).items()}
    whole, seen = NOTHING, units.features(*size)
    with torch.inference_mode(), shapes_alone():
        for steps in (4, 5):  # behind the given mask of frame 5
            core = units.core(seen, *size)
            whole += count(lambda: units.go(core, *size, given=True))  # noqa: B023
            for _ in range(steps):
                whole += count(lambda: units.go(core, *size))  # noqa: B023
    assert told[STEPS].flop == pytest.approx(whole.flop, rel=1e-3)
    assert told[STEPS].calls == pytest.approx(whole.calls, rel=0.02)
    assert told[STEPS].values == pytest.approx(whole.values, rel=0.02)
    more = cutie_calls(settings, 10, size, 3)
    assert more[STEPS].work(counted).flop == pytest.approx(3 * told[STEPS].flop)
    assert more[FEATURES].work(counted) == told[FEATURES], "a frame is seen once for all"
    assert cutie_calls(settings, 10, size, 0) == {}


def test_memory_of_cutie_is_what_is_alive(cutie):
    units, _, counted = cutie
    small, large = (counted(Unit("cutie", "seen", (side, 128))).values for side in (96, 192))
    assert large == pytest.approx(2 * small, rel=0.02)
    kept, peak = (counted(Unit("cutie", name, (96, 128))).values for name in ("kept", "alive"))
    assert 0 < kept < peak
    held = sum(one.numel() * 4 for one in units.network.parameters())
    assert counted(Unit("cutie", "weights")).values == held


# --- UNINEXT -------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def uninext():
    units = UninextUnits(TINY)
    return units, cache(units)


def test_sentences_look_at_a_frame_as_few_of_them_say(uninext):
    units, counted = uninext
    size = (64, 96)
    one, five = (
        {k: c.work(counted) for k, c in uninext_calls(7, size, n, 16).items()} for n in (1, 5)
    )
    whole = count(units.detecting(5, *size))
    assert five[MEET].flop == pytest.approx(7 * whole.flop, rel=1e-6)
    assert five[LOOKS] == one[LOOKS]
    assert five[TEXT].flop == pytest.approx(5 * one[TEXT].flop, rel=0.01)


@pytest.mark.slow
def test_memory_of_sentences_is_what_is_alive(uninext):
    units, counted = uninext
    size = (64, 96)
    peak, _ = live_bytes(units.detecting(4, *size))
    assert alive(4, size).work(counted).values == pytest.approx(peak, rel=0.05)


def test_weights_of_a_released_uninext_are_those_of_its_file():
    units = UninextUnits(RELEASED["UNINEXT-R50"])
    inside, beside = (
        units(Unit("uninext", name)).values for name in ("backbone_weights", "other_weights")
    )
    assert inside == pytest.approx(23.5e6, rel=0.01)  # a ResNet-50 without its classifier
    assert inside + beside == sum(one.numel() for one in units.network.parameters())
    assert {one.device for one in units.network.buffers()} <= {META}
