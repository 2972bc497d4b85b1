"""Key frames are integers that can be checked by hand."""

import pytest

from submission.video.sampling import key_frames, prompted_frames


@pytest.mark.parametrize(
    ("num_frames", "count", "expected"),
    [
        (20, 5, (0, 4, 9, 14, 19)),  # 4.75 and its multiples, rounded down
        (8, 5, (0, 1, 3, 5, 7)),
        (3, 5, (0, 1, 2)),  # shorter than the count: each frame once
        (7, 1, (0,)),
        (1, 5, (0,)),
    ],
)
def test_uniform_key_frames_reach_from_the_first_frame_to_the_last(num_frames, count, expected):
    assert key_frames(num_frames, count, "uniform") == expected


def test_first_key_frames_stop_at_the_end_of_the_video():
    assert key_frames(20, 5, "first") == (0, 1, 2, 3, 4)
    assert key_frames(3, 5, "first") == (0, 1, 2)


def test_prompted_frames_are_the_key_frames_or_the_first():
    assert prompted_frames(20, 5, "uniform", "sampled") == (0, 4, 9, 14, 19)
    assert prompted_frames(20, 5, "uniform", "first") == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(("num_frames", "count"), [(0, 5), (5, 0), (-1, 1)])
def test_a_video_and_a_count_below_one_are_refused(num_frames, count):
    with pytest.raises(ValueError, match="at least one"):
        key_frames(num_frames, count, "first")


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="middle"):
        key_frames(5, 2, "middle")
    with pytest.raises(ValueError, match="last"):
        prompted_frames(5, 2, "first", "last")
