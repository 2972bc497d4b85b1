"""Frames become images ahead of the model, in bounded memory, and always the same ones."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from submission.video.frame_loader import FrameLoader
from submission.video.transforms import FrameRequest, Mosaic, Squash

FRAMES = np.random.default_rng(0).integers(0, 256, (9, 12, 20, 3), dtype=np.uint8)
SIDE = 8
SQUARE = Squash(SIDE)
BYTES = 3 * SIDE * SIDE


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def open_loader(pool, budget_bytes=10**9, decode=FRAMES.__getitem__) -> FrameLoader:
    return FrameLoader(decode, FRAMES.shape[:3], pool, budget_bytes)


def squares(*times: int) -> FrameRequest:
    return FrameRequest(times, SQUARE)


ALL = squares(*range(9))


@pytest.mark.parametrize("budget", [0, BYTES, 3 * BYTES, 10**9])
@pytest.mark.parametrize("ahead", [ALL, squares()])
def test_the_budget_changes_no_pixel(pool, budget, ahead):
    loader = open_loader(pool, budget)
    loader.prefetch([ahead])
    for times in ([2, 5], [0, 1, 3], [8], [2], [4, 4], range(9)):
        expected = np.stack([SQUARE(FRAMES[time]) for time in times])
        assert np.array_equal(loader.frames(squares(*times)), expected)
        assert loader.held <= budget


def test_a_frame_wanted_in_two_ways_is_decoded_once(pool):
    loader = open_loader(pool)
    small = FrameRequest(tuple(range(9)), Squash(5))
    loader.prefetch([squares(0, 4), small])
    assert loader.frames(squares(0, 4)).shape == (2, SIDE, SIDE, 3)
    assert loader.frames(small).shape == (9, 5, 5, 3)
    loader.prefetch([small])  # they are there
    assert loader.decoded == 9


def test_a_mosaic_is_one_image_of_frames_that_are_decoded_once(pool):
    loader = open_loader(pool)
    mosaics = FrameRequest((3, 1, 5, 7, 8, 0, 2, 6), Mosaic(2, SIDE))
    loader.prefetch([mosaics, squares(0, 1, 2, 3, 5, 6, 7, 8)])
    first = np.vstack([np.hstack(FRAMES[[3, 1]]), np.hstack(FRAMES[[5, 7]])])
    made = loader.frames(mosaics)
    assert made.shape == (2, SIDE, SIDE, 3)
    assert np.array_equal(made[0], SQUARE(first))
    assert np.array_equal(loader.frames(squares(3, 1))[0], SQUARE(FRAMES[3]))
    assert loader.decoded == 8
    with pytest.raises(ValueError, match="3 frames make no whole images of 4"):
        loader.frames(FrameRequest((1, 2, 3), Mosaic(2, SIDE)))


def test_no_more_than_the_budget_is_made_ahead(pool):
    decoded = []
    loader = open_loader(pool, 3 * BYTES, lambda time: decoded.append(time) or FRAMES[time])
    loader.prefetch([ALL])
    assert loader.decoded == 3
    loader.frames(squares(0))  # what was given makes room for the next
    assert loader.decoded == 4
    loader.frames(squares(*range(1, 9)))
    assert loader.decoded == 9  # what went straight to its place is not made again
    assert sorted(decoded) == list(range(9))


def test_an_image_that_was_dropped_is_made_again(pool):
    loader = open_loader(pool, BYTES)
    loader.prefetch([squares(0, 1)])
    loader.frames(squares(0))
    loader.frames(squares(1))
    assert np.array_equal(loader.frames(squares(0))[0], SQUARE(FRAMES[0]))
    assert loader.decoded == 3


def test_what_was_not_asked_ahead_is_kept_while_the_budget_lasts(pool):
    loader = open_loader(pool, 9 * BYTES)
    for _ in range(2):
        loader.frames(ALL)
    assert loader.decoded == 9


@pytest.mark.parametrize("ahead", [True, False])
def test_memory_stays_within_the_budget_asked_ahead_or_not(ahead):
    """All frames in two sizes, read twice: what is kept and what comes out, by the allocator."""
    length, side = 40, 256
    frame = np.zeros((64, 64, 3), np.uint8)
    image = 3 * side**2
    requests = [FrameRequest((time,), Squash(side - n)) for n in range(2) for time in range(length)]

    def peak(budget: int) -> int:
        with ThreadPoolExecutor(2) as pool:
            loader = FrameLoader(lambda _: frame.copy(), (length, 64, 64), pool, budget)
            tracemalloc.start()
            for _ in range(2):
                loader.prefetch(requests if ahead else [])
                for request in requests:
                    loader.frames(request)
                    assert loader.held <= budget
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return most

    in_hand = 8 * image  # what two threads are just resizing, each in a few copies, and the result
    assert peak(10 * image) < 10 * image + in_hand
    assert peak(10**9) > 2 * length * (image * 0.9)  # else the bound above would say nothing


def test_the_error_of_a_frame_is_that_of_who_asks_for_it(pool):
    def decode(time):
        if time == 3:
            raise OSError("frame 3")
        return FRAMES[time]

    for budget in (10**9, 0):
        loader = open_loader(pool, budget, decode)
        loader.prefetch([ALL])
        assert len(loader.frames(squares(0, 1, 2))) == 3
        with pytest.raises(OSError, match="frame 3"):
            loader.frames(squares(2, 3))
        loader.close()
