"""Means over frames and sentences, v2 accuracies, and strictness about what is missing."""

import json
from pathlib import Path

import numpy as np
import pytest

from submission.dataset.records import Expression, Split, Video
from submission.score.scoring import score, write_score

SIZE = (8, 10)


def make_split():
    """Two videos: one with two target sentences, one with a no-target sentence."""
    walks = Video(
        "walks",
        ("00000", "00001", "00002", "00003"),
        SIZE,
        (
            Expression("walks", "0", "the one moving right", (1,), (1,)),
            Expression("walks", "1", "the one moving left", (2,), (2,)),
        ),
    )
    rests = Video("rests", ("00000",), SIZE, (Expression("rests", "0", "the flying one", (), ()),))
    return Split(Path("root"), "valid_u", Path("meta_expressions.json"), (walks, rests))


class Truth:
    """The left half is meant, wherever anything is meant."""

    def masks(self, video, expression):
        masks = np.zeros((len(video.frame_names), *video.size), bool)
        masks[:, :, :5] = expression.annotation_ids != ()
        return masks


def perfect(split):
    return [
        (video, expression, Truth().masks(video, expression))
        for video in split.videos
        for expression in video.expressions
    ]


def test_a_perfect_result_scores_one_everywhere():
    split = make_split()
    result = score(split, Truth(), perfect(split))
    assert set(result.means().values()) == {1.0}
    assert result.missing == ()


def test_all_frames_count_alike_and_then_all_sentences():
    split = make_split()
    predictions = perfect(split)
    predictions[0][2][0] = False  # the first frame of four: it counts
    result = score(split, Truth(), predictions)
    assert result.expressions[0].j == result.expressions[0].f == 0.75
    assert result.means()["J"] == pytest.approx((0.75 + 1 + 1) / 3)
    assert result.means()["J&F (targets)"] == pytest.approx((0.75 + 1) / 2)


def test_a_missing_sentence_counts_zero_and_is_named():
    split = make_split()
    video, expression, _ = perfect(split)[2]
    for predictions in (perfect(split)[:2], [*perfect(split)[:2], (video, expression, None)]):
        result = score(split, Truth(), predictions)
        assert result.means()["J"] == pytest.approx(2 / 3)
        assert result.means()["N-acc"] == 0.0  # saying nothing is not the answer "no target"
        assert [str(fault) for fault in result.missing] == ["rests/0: the sentence is missing"]


def test_a_missing_frame_or_one_of_another_size_counts_zero_and_is_named():
    split = make_split()
    predictions = perfect(split)
    video, expression, masks = predictions[1]
    frames = [masks[0], None, masks[2][:4], masks[3]]
    result = score(split, Truth(), [predictions[0], (video, expression, frames), predictions[2]])
    assert result.expressions[1].j == 0.5
    assert [str(fault) for fault in result.missing] == [
        "walks/1/00001: the frame is missing",
        "walks/1/00002: size (4, 10), and the video has (8, 10)",
    ]


def test_too_few_and_too_many_frames_are_named():
    split = make_split()
    predictions = perfect(split)
    short = (*predictions[0][:2], predictions[0][2][:3])
    long = (*predictions[2][:2], np.zeros((2, *SIZE), bool))
    result = score(split, Truth(), [short, predictions[1], long])
    assert [score.j for score in result.expressions] == [0.75, 1.0, 1.0]
    assert [str(fault) for fault in result.missing] == [
        "walks/0/00003: the frame is missing",
        "rests/0: 2 frames, and the video has 1",
    ]


def test_v2_accuracies_ask_only_whether_anything_was_found():
    split = make_split()
    predictions = perfect(split)
    predictions[0][2][:] = False  # a target, and nothing answered
    predictions[1][2][1:] = False  # found in one frame: enough for T-acc
    predictions[2][2][0, 0, 0] = True  # no target, and one pixel answered
    means = score(split, Truth(), predictions).means()
    assert (means["T-acc"], means["N-acc"]) == (0.5, 0.0)
    assert means["Final"] == pytest.approx(means["J&F"] / 3 + 0.5 / 3)


def test_a_split_without_no_target_sentences_has_the_v1_numbers_only():
    split = make_split()
    only_targets = Split(split.root, split.name, split.meta_file, split.videos[:1])
    result = score(only_targets, Truth(), perfect(only_targets))
    assert list(result.means()) == ["J", "F", "J&F"]


def test_a_sentence_given_twice_is_the_callers_mistake():
    split = make_split()
    with pytest.raises(ValueError, match="walks/0 came twice"):
        score(split, Truth(), [*perfect(split), perfect(split)[0]])


def test_score_json_carries_every_sentence_the_conventions_and_what_is_missing(tmp_path):
    split = make_split()
    results = {
        "vote": score(split, Truth(), perfect(split)),
        "half": score(split, Truth(), perfect(split)[:1]),
    }
    write_score(tmp_path / "score.json", split.name, results)
    content = json.loads((tmp_path / "score.json").read_text())
    assert content["split"] == "valid_u"
    assert content["results"]["vote"]["expressions"]["walks/1"] == {"J": 1.0, "F": 1.0}
    assert content["results"]["half"]["J"] == pytest.approx(1 / 3)
    assert [entry["where"] for entry in content["missing"]] == ["walks/1", "rests/0"]
    assert {entry["result"] for entry in content["missing"]} == {"half"}
    assert "first and last included" in content["conventions"]["mean"]
