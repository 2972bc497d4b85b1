"""Means over frames and sentences, v2 accuracies, and strictness about what is missing."""

from dataclasses import replace

import numpy as np
import pytest
from score.conftest import SIZE, Arrays

from submission.score.scoring import score


def score_one(split, truth, answers):
    return score(split, truth, [Arrays(answers)])["ours"]


def test_a_perfect_result_scores_one_everywhere(split, truth, perfect):
    result = score_one(split, truth, perfect)
    assert set(result.means().values()) == {1.0}
    assert result.faults() == []


def test_all_frames_count_alike_and_then_all_sentences(split, truth, perfect):
    perfect["walks", "0"][0] = False  # the first frame of four: it counts
    result = score_one(split, truth, perfect)
    assert result.expressions[0].j == result.expressions[0].f == 0.75
    assert result.means()["J"] == pytest.approx((0.75 + 1 + 1) / 3)
    assert result.means()["J&F (targets)"] == pytest.approx((0.75 + 1) / 2)
    assert result.video_means()["walks"]["J&F"] == pytest.approx((0.75 + 1) / 2)


def test_the_objects_of_a_sentence_are_scored_as_their_union(split, truth, perfect):
    both = replace(split.videos[0].expressions[0], annotation_ids=(1, 2), object_ids=(1, 2))
    video = replace(split.videos[0], expressions=(both,))
    perfect["walks", "0"][:, :, 5:8] = True  # 8 of 10 columns
    result = score_one(replace(split, videos=(video,)), truth, perfect)
    assert result.expressions[0].j == pytest.approx(0.8)


def test_a_missing_sentence_counts_zero_and_is_named(split, truth, perfect):
    del perfect["walks", "0"]
    result = score_one(split, truth, perfect)
    assert result.means()["J"] == pytest.approx(2 / 3)
    assert [str(fault) for fault in result.faults()] == ["walks/0: the sentence is missing"]


def test_a_sentence_without_any_frame_is_a_missing_sentence(split, truth, perfect):
    perfect["walks", "0"] = [None] * 4
    result = score_one(split, truth, perfect)
    assert [str(fault) for fault in result.faults()] == ["walks/0: the sentence is missing"]


def test_a_missing_video_is_one_fault_and_no_answer_is_not_the_answer_no_target(
    split, truth, perfect
):
    del perfect["rests", "0"]
    result = score_one(split, truth, perfect)
    assert [str(fault) for fault in result.faults()] == ["rests: the video is missing (1 sentence)"]
    assert result.means()["N-acc"] == 0.0


def test_a_missing_frame_or_one_of_another_size_counts_zero_and_is_named(split, truth, perfect):
    masks = perfect["walks", "1"]
    perfect["walks", "1"] = [masks[0], None, masks[2][:4], masks[3]]
    result = score_one(split, truth, perfect)
    assert result.expressions[1].j == 0.5
    assert [str(fault) for fault in result.faults()] == [
        "walks/1/00001: the frame is missing",
        "walks/1/00002: 10 x 4 pixels, but the video has 10 x 8 pixels",
    ]


def test_v2_accuracies_ask_only_whether_anything_was_found(split, truth, perfect):
    perfect["walks", "0"][:] = False  # a target, and nothing answered
    perfect["walks", "1"][1:] = False  # found in one frame: enough for T-acc
    perfect["rests", "0"][0, 0, 0] = True  # no target, and one pixel answered
    means = score_one(split, truth, perfect).means()
    assert (means["T-acc"], means["N-acc"]) == (0.5, 0.0)
    assert means["Final"] == pytest.approx(means["J&F"] / 3 + 0.5 / 3)


def test_a_split_without_no_target_sentences_has_the_v1_numbers_only(split, truth, perfect):
    only_targets = replace(split, videos=split.videos[:1])
    assert list(score_one(only_targets, truth, perfect).means()) == ["J", "F", "J&F"]


def test_the_official_mean_leaves_out_what_lacks_a_frame_but_not_a_missing_video(
    split, truth, perfect
):
    perfect["walks", "0"][0] = False
    perfect["walks", "1"] = [*perfect["walks", "1"][:3], None]
    strict = score_one(split, truth, perfect)
    official = strict.as_official()
    assert [(one.video, one.expression) for one in official.expressions] == [
        ("walks", "0"), ("rests", "0"),
    ]  # fmt: skip
    assert official.means()["J"] == pytest.approx((0.75 + 1) / 2)
    assert strict.means()["J"] == pytest.approx((0.75 + 0.75 + 1) / 3)
    del perfect["walks", "0"], perfect["walks", "1"]
    gone = score_one(split, truth, perfect).as_official()
    assert gone.means()["J"] == pytest.approx((0 + 0 + 1) / 3)


def test_several_results_are_scored_side_by_side_and_keep_the_order_of_the_split(
    split, truth, perfect
):
    empty = {key: np.zeros((4, *SIZE), bool) for key in perfect}
    sources = [Arrays(perfect, "right"), Arrays(empty, "empty")]
    results = score(split, truth, sources)
    assert results["right"].means()["J&F"] == 1.0
    assert results["empty"].means()["J&F"] == pytest.approx(1 / 3)  # only the no-target sentence
    assert [one.expression for one in results["empty"].expressions] == ["0", "1", "0"]
