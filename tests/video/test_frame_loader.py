"""Frames become squares ahead of the model, in bounded memory, and always the same ones."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from submission.video.frame_loader import Pictures, squash

FRAMES = np.random.default_rng(0).integers(0, 256, (9, 12, 20, 3), dtype=np.uint8)
SIDE = 8
BYTES = 3 * SIDE * SIDE


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def open_pictures(pool, room=10**9, decode=FRAMES.__getitem__) -> Pictures:
    return Pictures(decode, FRAMES.shape[:3], pool, room)


@pytest.mark.parametrize("room", [0, BYTES, 3 * BYTES, 10**9])
def test_the_room_changes_no_pixel(pool, room):
    pictures = open_pictures(pool, room)
    pictures.want((time, SIDE) for time in range(9))
    for times in ([2, 5], [0, 1, 3], [8], [2]):
        expected = np.stack([squash(FRAMES[time], SIDE) for time in times])
        assert np.array_equal(pictures.squash(times, SIDE), expected)


def test_a_frame_wanted_in_two_sizes_is_decoded_once(pool):
    pictures = open_pictures(pool)
    pictures.want([(0, SIDE), (4, SIDE), *((time, 5) for time in range(9))])
    assert pictures.squash([0, 4], SIDE).shape == (2, SIDE, SIDE, 3)
    assert pictures.squash(range(9), 5).shape == (9, 5, 5, 3)
    pictures.want((time, 5) for time in range(9))  # they are there
    assert pictures.decoded == 9


def test_no_more_than_the_room_is_made_ahead(pool):
    decoded = []
    room = 3 * BYTES
    pictures = open_pictures(pool, room, lambda time: decoded.append(time) or FRAMES[time])
    pictures.want((time, SIDE) for time in range(9))
    assert pictures.decoded == 3
    pictures.squash([0], SIDE)  # what was given makes room for the next
    assert pictures.decoded == 4
    pictures.squash(range(1, 9), SIDE)
    assert sorted(decoded) == list(range(9))


def test_a_square_that_was_given_away_is_made_again(pool):
    pictures = open_pictures(pool, BYTES)
    pictures.want((time, SIDE) for time in range(2))
    pictures.squash([0], SIDE)
    pictures.squash([1], SIDE)
    assert np.array_equal(pictures.squash([0], SIDE)[0], squash(FRAMES[0], SIDE))
    assert pictures.decoded == 3


def test_the_error_of_a_frame_is_that_of_who_asks_for_it(pool):
    def decode(time):
        if time == 3:
            raise OSError("frame 3")
        return FRAMES[time]

    pictures = open_pictures(pool, decode=decode)
    pictures.want((time, SIDE) for time in range(9))
    assert len(pictures.squash([0, 1, 2], SIDE)) == 3
    with pytest.raises(OSError, match="frame 3"):
        pictures.squash([2, 3], SIDE)
    pictures.close()
