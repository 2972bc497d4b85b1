"""The vote of the report is the vote of the zip, and its parts keep within their allowance."""

import numpy as np
import pytest

from submission.dataset.records import Video
from submission.masks.agreement import covered
from submission.masks.ballot import Voting
from submission.masks.store import Prediction
from submission.masks.track import Track
from submission.masks.voting import vote_tracks
from submission.report.video_part import _lay_out, vote_layer
from submission.report.writing import FRAME_BYTES, MASK_CHARACTERS, _allowance


@pytest.mark.parametrize("rule", ["majority", "paper"])
@pytest.mark.parametrize("absent", [(), (1,)])
def test_the_vote_is_that_of_the_pngs(rule, absent):
    size, weights = (13, 17), (1.0, 0.5, 2.0, 0.75)
    masks = np.random.default_rng(5).random((4, 3, *size)) < 0.5
    tracks = [Track.encode(mask) for mask in masks]
    answers = [
        None if n in absent else Prediction("words", track) for n, track in enumerate(tracks)
    ]
    voting = Voting(("a", "b", "c", "d"), weights, rule, skip_missing=True)
    runs, present = _lay_out(voting, Video("clip", ("0", "1", "2"), size, ()), answers, None)

    assert present == [n for n in range(4) if n not in absent]
    expected = vote_tracks([tracks[n] for n in present], rule, [weights[n] for n in present])
    shown = np.repeat(covered(runs.labels, vote_layer(voting)), runs.lengths)
    np.testing.assert_array_equal(
        shown.reshape(3, size[1], size[0]).transpose(0, 2, 1), expected.decode()
    )


def test_a_report_of_valid_u_is_allowed_less_than_30_megabytes():
    frames, masks = 3_950, 62_647
    allowed = frames * _allowance(FRAME_BYTES, frames) + masks * _allowance(MASK_CHARACTERS, masks)
    assert allowed < 28e6  # answers, curves and the page come on top
    assert _allowance(FRAME_BYTES, 10) == FRAME_BYTES[2]
    assert _allowance(FRAME_BYTES, 1_000_000) == FRAME_BYTES[0]
