"""Kernels are timed once on a GPU that nobody has measured, and what was measured is kept."""

import fcntl
import json

import pytest
import torch

from submission.files.user_cache import cache_folder
from submission.models.sam2 import kernel_timing
from submission.models.sam2.attention import AttentionKernel, attend_fused, attend_in_blocks
from submission.models.sam2.kernel_timing import choose_by_time, pick
from submission.models.sam2.sizes import GroundingConfig

SIZES = GroundingConfig(image_size=64, hidden_size=16, memory_size=4)
KEYS = torch.zeros(16)
WIDE = AttentionKernel("wide", False, attend_fused, attend_fused)
NARROW = AttentionKernel("narrow", True, attend_in_blocks, attend_fused)


@pytest.mark.parametrize(
    ("wide", "narrow", "chosen"),
    [
        ([1, 2, 4, 8], [3, 3, 3, 5], ("wide", "narrow", 4)),
        ([1, 2, 4, 8], [3, 1, 3, 5], ("wide", "narrow", 2)),
        ([1, 2, 4, 8], [3, 3, 3, 7], ("wide", "wide", 1)),  # ahead, but by less than the lead
        ([1, 2, 4, 8], [0.9, 1.8, 3.6, 7.0], ("wide", "wide", 1)),
        ([1, 2, 4, 8], [0.5, 1.0, 2.0, 4.0], ("narrow", "narrow", 1)),
        ([3, 3, 3, 4], [1, 2, 4, 8], ("narrow", "wide", 4)),
        ([3, 3, 3, 7], [1, 2, 4, 8], ("narrow", "narrow", 1)),
    ],
)
def test_the_number_of_objects_from_which_another_kernel_leads(wide, narrow, chosen):
    times = {
        count: {"wide": one, "narrow": other}
        for count, one, other in zip((1, 2, 4, 8), wide, narrow, strict=True)
    }
    assert pick(times, ["wide", "narrow"]) == chosen


class Clock:
    """Seconds by kernel and number of objects, in place of a measurement."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.seconds = {"wide": lambda objects: objects, "narrow": lambda objects: 2 + objects / 4}

    def __call__(self, kernel, objects, like, sizes):
        self.asked.append((kernel.name, objects))
        return self.seconds[kernel.name](objects)


@pytest.fixture
def clock(monkeypatch, tmp_path) -> Clock:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clock = Clock()
    monkeypatch.setattr(kernel_timing, "_seconds", clock)
    return clock


def test_times_are_taken_once_and_kept(clock):
    chosen = choose_by_time([WIDE, NARROW], KEYS, SIZES)
    assert chosen.name == "wide, narrow from 4 objects"
    assert (chosen.of(3), chosen.of(4)) == (WIDE, NARROW)
    assert len(clock.asked) == 2 * len(kernel_timing.OBJECTS)
    assert choose_by_time([WIDE, NARROW], KEYS, SIZES) == chosen
    assert len(clock.asked) == 2 * len(kernel_timing.OBJECTS)


def test_other_keys_kernels_and_versions_are_timed_anew(clock, monkeypatch):
    other = AttentionKernel("other", False, attend_fused, attend_fused)
    clock.seconds["other"] = float
    known = 0
    for kernels, like in (
        ([WIDE, NARROW], KEYS), ([WIDE, NARROW], KEYS.bfloat16()), ([WIDE, other], KEYS),
    ):  # fmt: skip
        choose_by_time(kernels, like, SIZES)
        assert len(clock.asked) > known
        known = len(clock.asked)
    monkeypatch.setattr(torch, "__version__", "99")
    choose_by_time([WIDE, NARROW], KEYS, SIZES)
    assert len(clock.asked) > known


@pytest.mark.parametrize(
    "damage", ["{", '{"KEY": 3}', '{"KEY": {"1": {"wide": -1}}}', '{"KEY": {"1": {"else": 1}}}']
)
def test_damaged_times_are_taken_anew(clock, damage):
    choose_by_time([WIDE, NARROW], KEYS, SIZES)
    known, file = len(clock.asked), cache_folder() / kernel_timing.MEMORY
    (key,) = json.loads(file.read_text())
    file.write_text(damage.replace("KEY", key))
    choose_by_time([WIDE, NARROW], KEYS, SIZES)
    assert len(clock.asked) == 2 * known


def test_of_two_workers_the_second_follows_the_first(clock, monkeypatch):
    choose_by_time([WIDE, NARROW], KEYS, SIZES)
    file = cache_folder() / kernel_timing.MEMORY
    first = file.read_text()
    times = kernel_timing._recall
    answers = iter([{}])
    monkeypatch.setattr(kernel_timing, "_recall", lambda *a: next(answers, None) or times(*a))
    monkeypatch.setattr(kernel_timing, "time_kernels", lambda *a: {1: {"wide": 9.0, "narrow": 1.0}})
    assert choose_by_time([WIDE, NARROW], KEYS, SIZES).name == "wide, narrow from 4 objects"
    assert file.read_text() == first


def test_two_workers_do_not_time_at_once(clock, monkeypatch):
    free = []

    def is_free() -> bool:
        with (cache_folder() / ".kernels.json.lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def timed(*arguments):
        free.append(is_free())
        return clock(*arguments)

    monkeypatch.setattr(kernel_timing, "_seconds", timed)
    choose_by_time([WIDE, NARROW], KEYS, SIZES)
    assert free
    assert not any(free)
    assert is_free()


def test_without_a_cache_kernels_are_timed_each_time(clock, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for number in (1, 2):
        assert choose_by_time([WIDE, NARROW], KEYS, SIZES).many_from == 4
        assert len(clock.asked) == number * 2 * len(kernel_timing.OBJECTS)


def test_a_kernel_that_refuses_is_left_out_and_a_full_gpu_ends_the_timing(clock):
    def few_only(objects):
        if objects > 2:
            raise torch.OutOfMemoryError
        return objects

    clock.seconds["wide"] = few_only
    assert choose_by_time([WIDE, NARROW], KEYS, SIZES).name == "wide"
    assert clock.asked[-1] == ("wide", 4)
    known = len(clock.asked)
    choose_by_time([WIDE, NARROW], KEYS, SIZES)
    assert len(clock.asked) == 2 * known  # the next may find more room
    clock.seconds["narrow"] = lambda objects: float("inf")
    other = AttentionKernel("other", False, attend_fused, attend_fused)
    clock.seconds["other"] = lambda objects: 9.0 * objects
    assert choose_by_time([NARROW, other], KEYS, SIZES).name == "other"


def test_a_gpu_without_room_takes_the_first_and_times_again_next_time(clock):
    def full(objects):
        raise torch.OutOfMemoryError

    clock.seconds["wide"] = full
    assert choose_by_time([WIDE, NARROW], KEYS, SIZES).name == "wide"
    clock.seconds["wide"] = lambda objects: 99.0
    assert choose_by_time([WIDE, NARROW], KEYS, SIZES).name == "narrow"


def test_a_real_clock_times_real_kernels(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def refuses(queries, keys, values):
        raise RuntimeError("no such kernel")

    never = AttentionKernel("never", False, refuses, refuses)
    found = kernel_timing.time_kernels([WIDE, NARROW, never], KEYS, SIZES)
    assert {count: set(one) for count, one in found.items()} == {
        count: {"wide", "narrow"} for count in kernel_timing.OBJECTS
    }
    assert choose_by_time([WIDE, NARROW], KEYS, SIZES).few in (WIDE, NARROW)


def test_a_kernel_that_finds_no_memory_of_the_driver_has_not_refused():
    def full(queries, keys, values):
        raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be")

    full_kernel = AttentionKernel("full", False, full, full)
    assert kernel_timing.time_kernels([WIDE, full_kernel], KEYS, SIZES) == {}
