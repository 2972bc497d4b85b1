"""Named approximations leave out what they say, and nothing when they have nothing to leave out."""

from unittest.mock import patch

import numpy as np
import pytest
from models.conftest import ANSWERS, SENTENCES

from submission.models.sa2va.answer import Answer
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.settings import Settings
from submission.models.sam2.approximation import Approximation
from submission.models.sam2.memory_bank import MemoryBank
from submission.video.sampling import prompted_frames

KEY_FRAMES = 4


def segment(model: Sa2VA, frames: np.ndarray, **settings: int) -> list[Answer]:
    return model.segment(
        frames, SENTENCES, Settings(frames=KEY_FRAMES, **settings), answers=ANSWERS
    )


def bits(answers: list[Answer]) -> np.ndarray:
    return np.stack([answer.masks.bits for answer in answers])


@pytest.mark.parametrize("settings", [{"nearest_prompts": KEY_FRAMES}, {"nearest_prompts": 99}])
def test_with_nothing_to_leave_out_the_bytes_are_equal(sa2va_i, frames, settings):
    assert np.array_equal(
        bits(segment(sa2va_i, frames, **settings)), bits(segment(sa2va_i, frames))
    )


@pytest.mark.parametrize("settings", [{"nearest_prompts": 1}, {"memory_stride": 2}])
def test_tracked_frames_alone_change(sa2va_i, frames, settings):
    exact, rough = bits(segment(sa2va_i, frames)), bits(segment(sa2va_i, frames, **settings))
    prompted = list(prompted_frames(len(frames), KEY_FRAMES, "uniform", "sampled"))
    assert np.array_equal(exact[:, prompted], rough[:, prompted])
    assert not np.array_equal(exact, rough)


def shown_maps(model: Sa2VA, frames: np.ndarray, **settings: int) -> list[tuple[set[int], list]]:
    """For each tracked frame: the prompted frames, and the temporal slots of recent maps, seen."""
    seen = []
    show, show_prompted = MemoryBank.show, MemoryBank.show_prompted

    def note_prompted(bank, maps, slot):
        seen.append((set(maps), []))
        return show_prompted(bank, maps, slot)

    def note(bank, recent, pointers):
        seen[-1][1].extend(sorted(slot for _, slot in recent.values()))
        return show(bank, recent, pointers)

    with (
        patch.object(MemoryBank, "show_prompted", note_prompted),
        patch.object(MemoryBank, "show", note),
    ):
        segment(model, frames, **settings)
    return seen


def test_what_is_in_sight(sa2va, frames):
    long = np.concatenate([frames, frames[::-1]])
    prompted = prompted_frames(len(long), KEY_FRAMES, "uniform", "sampled")
    tracked = [time for time in range(len(long)) if time not in prompted]
    near = shown_maps(sa2va, long, nearest_prompts=2)
    for time, (seen, _) in zip(tracked, near, strict=True):
        assert len(seen) == 2
        assert max(abs(t - time) for t in seen) <= min(abs(t - time) for t in set(prompted) - seen)
    strided = shown_maps(sa2va, long, memory_stride=2)
    for (_, some), (everything, full) in zip(strided, shown_maps(sa2va, long), strict=True):
        assert everything == set(prompted)
        assert some == [slot for slot in full if slot in (0, 2, 4)]
    assert any(len(some) == 3 for _, some in strided)


def test_ties_go_to_the_earlier_frame():
    assert Approximation(nearest_prompts=1).prompts_in_sight([0, 10], 5) == [0]
    assert Approximation(nearest_prompts=3).prompts_in_sight([20, 0, 10, 30], 5) == [0, 10, 20]
