"""The whole way from frames to masks against the reference, nothing recorded put in between."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from models.cases import (
    CASES,
    SAME_MASK,
    TRACKED_CLOSE,
    Case,
    assert_close,
    assert_same_masks,
    cases,
    iou,
)
from models.trace import trace


@cases("output_ids")
def test_text_and_number_of_segs(case: Case):
    answer = trace(case).answer
    assert answer.text == case.record["prediction"]
    assert answer.num_seg == case.record["n_masks"]
    assert answer.masks.shape == case.frames.shape[:3]


@cases("frame_low_res")
def test_logits_of_every_frame(case: Case):
    """But prompted ones of Sa2VA-i: made hard, a logit near zero can jump by 20."""
    for seg, calls in enumerate(case.calls):
        recorded = case.low_res(seg)
        for kind, time in calls:
            ours = trace(case).low_res[time][seg : seg + 1]
            if kind == "track":
                assert_close(ours, recorded[time], TRACKED_CLOSE)
            elif case.procedure == "sa2va":
                assert_close(ours, recorded[time])


@cases("final_masks")
def test_masks(case: Case):
    masks = np.asarray(trace(case).answer.masks)
    assert_same_masks(masks, case.recorded["final_masks"].bool().any(dim=0).numpy())


@cases("final_masks")
def test_masks_of_every_seg(case: Case):
    recorded = case.recorded["final_masks"].bool()
    assert len(recorded) == case.record["n_masks"]
    for seg, expected in enumerate(recorded):
        shown = [trace(case).shown[time][seg, 0] for time in range(len(case.frames))]
        assert_same_masks((torch.stack(shown) > 0).numpy(), expected.numpy())


@cases("final_masks")
def test_the_first_seg_is_taken_as_the_evaluator_does(case: Case):
    if case.record["n_masks"] < 2:
        shown = trace(case).answer
    else:
        shown = case.model.segment(
            case.frames, [case.sentence], replace(case.settings, seg="first"),
            answers=[case.record["forced_answer"]],
        )[0]  # fmt: skip
    assert_same_masks(np.asarray(shown.masks), case.recorded["final_masks"][0].bool().numpy())


def test_the_comparison_notices_a_difference():
    case = CASES["small-internlm2_first5"]
    recorded = case.recorded["final_masks"][0].bool().numpy()
    moved = np.roll(recorded, 1, axis=2)
    assert iou(recorded[0], moved[0]) <= SAME_MASK
    with pytest.raises(AssertionError):
        assert_same_masks(moved, recorded)
    with pytest.raises(AssertionError):
        assert_close(case.recorded["language_embd"] + 2e-4, case.recorded["language_embd"])
