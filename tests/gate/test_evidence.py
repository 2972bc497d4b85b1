"""Evidence of a sentence, the decision on it, and the file that a calibration leaves."""

import numpy as np
import pytest

from submission.errors import InputError
from submission.gate.calibration import calibrate
from submission.gate.calibration_file import gate_of, read_calibration, write_calibration
from submission.gate.decision import Gate
from submission.gate.evidence import gather
from submission.masks.track import Track
from submission.masks.voting import vote_tracks

from .test_calibration import separated


def track(*lefts, height=10, width=20) -> Track:
    """Squares of 4 x 4 at the given columns, one a frame; None for an empty frame."""
    masks = np.zeros((len(lefts), height, width), bool)
    for mask, left in zip(masks, lefts, strict=True):
        if left is not None:
            mask[2:6, left : left + 4] = True
    return Track.encode(masks)


def about(tracks, details=None, weights=None) -> dict[str, float]:
    weights = weights or [1.0] * len(tracks)
    result = vote_tracks(tracks, "majority", weights)
    return gather(tracks, details or [{}] * len(tracks), weights, result)


def test_masks_say_how_long_how_large_and_how_much_alike():
    found = about([track(0, 2, None), track(0, 4, None)], weights=[2.0, 1.0])
    # The first expert decides alone: two of three frames, 16 of 200 pixels each.
    assert found["persistence"] == pytest.approx(2 / 3)
    assert found["area"] == pytest.approx(16 / 200)
    # 16 + 8 pixels in common, 16 + 24 in either; the empty frame says nothing.
    assert found["agreement"] == pytest.approx(24 / 40)


def test_one_expert_has_nobody_to_agree_with():
    assert "agreement" not in about([track(0, 0)])
    assert about([track(None, None)])["area"] == 0


def test_agreement_is_weighted_as_the_vote():
    same, other = track(0, 0), track(10, 10)
    equal = about([same, same, other])["agreement"]
    assert equal == pytest.approx(1 / 3, abs=1e-6)
    assert about([same, same, other], weights=[1, 1, 0.1])["agreement"] == pytest.approx(1 / 1.2)


@pytest.mark.parametrize(
    ("text", "value"),
    [("It is [SEG].", 1), ("There is no such dog.", 0), ("I can't see it. [SEG]", 0),
     ("Nothing turns left.", 0), ("the knot [SEG]", 1)],
)  # fmt: skip
def test_words_that_deny_are_read(text, value):
    assert about([track(0)], [{"text": text}])["not_denied"] == value


def test_details_are_read_where_they_are():
    details = [
        {"num_seg": 1, "confidence": [0.5, None, 0.9], "p_yes": 0.8},
        {"num_seg": 0, "confidence": [None, None, None]},
    ]
    found = about([track(0, 0, 0)] * 2, details, [3.0, 1.0])
    assert found["seg"] == pytest.approx(0.75)
    assert found["confidence"] == pytest.approx(0.7)
    assert found["peak"] == pytest.approx(0.9)
    assert found["p_yes"] == pytest.approx(0.8)
    plain = about([track(0)])
    assert set(plain) == {"persistence", "area"}


def test_a_threshold_by_hand_empties_what_lies_below():
    gate = Gate.below("agreement", 0.35)
    assert gate.decide({"agreement": 0.34}).emptied
    assert not gate.decide({"agreement": 0.35}).emptied
    assert gate.in_words() == "empty where agreement is below 0.35"
    decision = gate.decide({"agreement": 0.1, "area": 0.5})
    assert decision.evidence == {"agreement": 0.1, "area": 0.5}
    assert decision.p_no_target > 0.5


def test_a_file_gives_the_gate_back(tmp_path):
    rows = separated(noise=0.1)
    found = calibrate(rows, 0.04, ("clue",))
    named = {"evidence": ("agreement",)}
    from dataclasses import replace

    found = replace(found, gate=replace(found.gate, **named, experts=("a", "b")))
    write_calibration(tmp_path / "gate.json", found, {"split": "valid_u"})
    assert read_calibration(tmp_path / "gate.json") == found.gate


@pytest.mark.parametrize(
    "damage",
    [
        {"evidence": ["luck"]},
        {"weights": []},
        {"cutoff": 2},
        {"scales": [0.0]},
        {"bias": "x"},
        {"judge": {"checkpoint": "a", "frames": "8", "max_pixels": 784, "files": {}}},
    ],
)
def test_a_damaged_file_is_refused(tmp_path, damage):
    values = {"evidence": ["area"], "weights": [1.0], "centres": [0.0], "scales": [1.0],
              "bias": 0.0, "cutoff": 0.5}  # fmt: skip
    assert gate_of(values).evidence == ("area",)
    with pytest.raises(ValueError):  # noqa: PT011
        gate_of({**values, **damage})
    (tmp_path / "gate.json").write_text("{}")
    with pytest.raises(InputError, match="make it again with: mevis-submission calibrate"):
        read_calibration(tmp_path / "gate.json")
