"""Which experts go through the videos together, by hand."""

import pytest

from submission.experts.passes import Needs, count_frames, make_passes

GB = 10**9
A, B = Needs("a", "hiera", 8 * GB), Needs("b", "hiera", 16 * GB)
OTHER, GIVEN = Needs("c", "another", 2 * GB), Needs()


@pytest.mark.parametrize(
    ("needs", "room", "expected"),
    [
        ([A, A, A], 1, [(0, 1, 2)]),  # one model, however large
        ([A, B], 24 * GB, [(0, 1)]),
        ([A, B], 23 * GB, [(0,), (1,)]),
        ([A, B, A, B], 23 * GB, [(0, 2), (1, 3)]),  # no model is loaded twice
        ([A, OTHER], 99 * GB, [(0,), (1,)]),
        ([A, GIVEN, A, GIVEN], 99 * GB, [(0, 2), (1,), (3,)]),
        ([Needs("a"), Needs("b")], 99 * GB, [(0,), (1,)]),  # never compared
        ([A, B, Needs("d", "hiera", 8 * GB)], 17 * GB, [(0, 2), (1,)]),
        ([], 1, []),
    ],
)
def test_who_shares(needs, room, expected):
    named = {str(number): need for number, need in enumerate(needs)}
    passes = make_passes(named, room)
    assert passes == [tuple(map(str, one)) for one in expected]


def test_frames_are_counted_once_for_a_pass(split):
    # dogs has 3 frames, cups has 2
    dogs, cups = split.videos
    todo = {"a": [dogs, cups], "b": [dogs]}
    assert count_frames([("a", "b")], todo) == 5
    assert count_frames([("a",), ("b",)], todo) == 8
    assert count_frames([("a", "b"), ("given",)], {"b": [dogs]}) == 3
