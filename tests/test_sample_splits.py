"""The splits made on demand: the same every time, and held out where they say so."""

import hashlib
import random
import re

import numpy as np
import pytest

from scripts.sample_data.motion import Program
from scripts.sample_data.render import render
from scripts.sample_data.scene import Scene, Shape
from scripts.sample_data.sentences import MORE_STATEMENTS, STATEMENTS, targets, worded_sentences
from scripts.sample_data.style import SAMPLE, TEST, TRAINING, draw_from
from scripts.sample_data.wordings import KNOWN, all_phrases, phrases
from scripts.sample_data.write_split import FRAMES, MASKS, META, PLANS, draw_plan, split_files

MEANINGS = {statement.meaning: statement for statement in (*STATEMENTS, *MORE_STATEMENTS)}


def words(texts):
    return set(re.findall(r"[a-z]+|,", " ".join(texts)))


def test_held_out_phrases_are_new_combinations_of_known_words():
    known, held_out = (set(all_phrases(held_out=side)) for side in (False, True))
    assert len(held_out) > 40
    assert not known & held_out
    assert words(held_out) <= words(known)


@pytest.mark.parametrize("several", [False, True])
def test_every_meaning_has_known_and_held_out_phrases(several):
    for meaning in MEANINGS:
        for held_out in (False, True):
            assert phrases(meaning, several=several, held_out=held_out), meaning
    assert "rests" in KNOWN


def test_the_sample_split_says_nothing_that_is_held_out():
    held_out = set(all_phrases(held_out=True))
    said = [s.text for clip in draw_plan(PLANS["sample"]) for s in clip.sentences]
    assert [text for text in said if any(text.endswith(f" {phrase}") for phrase in held_out)] == []


def test_sentences_of_the_test_split_are_worded_in_both_ways_and_the_choosing_split_in_one():
    some = {name: list(draw_plan(PLANS[name]))[:20] for name in ("test", "choose")}
    flags = {name: {s.is_held_out for clip in some[name] for s in clip.sentences} for name in some}
    assert flags == {"test": {True, False}, "choose": {False}}


@pytest.mark.parametrize("setting", ["reach", "circle", "turning_point"])
def test_motion_of_the_test_split_lies_in_the_gaps_of_training(setting):
    rng = random.Random(0)
    for _ in range(200):
        value = draw_from(rng, getattr(TEST, setting))
        assert not any(low < value < high for low, high in getattr(TRAINING, setting))
    assert TEST.look != TRAINING.look


def test_long_clips_are_longer_than_any_that_is_trained_on():
    lengths = [clip.scene.num_frames for clip in draw_plan(PLANS["long"])]
    assert min(lengths) >= 60 > max(FRAMES)


def test_a_split_is_drawn_the_same_every_time():
    first, again = (list(draw_plan(PLANS["test"]))[:5] for _ in range(2))
    assert first == again
    assert first != list(draw_plan(PLANS["choose"]))[:5]


def test_the_choosing_split_has_the_stated_hash():
    files = dict(split_files(draw_plan(PLANS["choose"])))
    found = hashlib.sha256(files[META] + files[MASKS]).hexdigest()
    assert found == PLANS["choose"].digest


# --- what is new in scenes -----------------------------------------------------------------------
def scene_of(*programs, **settings):
    shapes = tuple(
        Shape("disk", (200, 20 + 60 * i, 40), 10.0, 0.0, program, (40.0 + 30 * i, 64.0), 9)
        for i, program in enumerate(programs)
    )
    return Scene(shapes, 9, background_seed=1, **settings)


STILL, CIRCLES = Program("still"), Program("circles", reach=10)
RETURNS = Program("returns", "up", 120, turning_point=0.5)
LATE, RIGHT = Program("starts late", "left", 30), Program("moves", "right", 30)
STOPS = Program("stops", "right", 30, turning_point=0.25)


@pytest.mark.parametrize(
    ("meaning", "programs", "expected"),
    [
        ("returns", (STILL, RETURNS), (1,)),
        ("leaves", (STILL, RETURNS), None),  # it leaves, but not for good
        ("turns back", (STILL, RETURNS), None),
        ("heads to up", (STILL, RETURNS), None),
        ("last", (LATE, RIGHT), (0,)),
        ("last", (LATE, STILL), None),  # nothing else moves
        ("last", (RIGHT, CIRCLES), None),  # all set off at once
        ("stops to right", (STOPS, RIGHT), (0,)),
        ("stops to left", (STOPS, RIGHT), ()),
    ],
)
def test_the_scene_decides_whom_a_new_sentence_means(meaning, programs, expected):
    assert targets(MEANINGS[meaning], scene_of(*programs)) == expected


def test_returning_is_seen_gone_and_seen_again():
    _, masks = render(scene_of(RETURNS))
    areas = masks[0].sum(axis=(1, 2))
    assert areas[0] > 0
    assert areas[4] == 0
    assert areas[-1] == areas[0]


def test_stopping_happens_at_the_turning_point():
    centres = scene_of(STOPS).shapes[0].centres[:, 0]
    assert centres[2] == centres[-1] == 70
    assert centres[1] < 70


def test_a_swaying_camera_moves_shapes_and_background_together():
    steady, swaying = scene_of(STILL), scene_of(STILL, sway=8.0)
    assert (steady.camera == 0).all()
    shift = np.rint(swaying.camera[2]).astype(int)
    first, later = (render(swaying)[1][0, t] for t in (0, 2))
    moved = np.argwhere(later).mean(axis=0) - np.argwhere(first).mean(axis=0)
    assert shift.any()
    np.testing.assert_allclose(moved, swaying.camera[2][::-1], atol=0.3)
    frames, _ = render(swaying)
    right, down = shift
    np.testing.assert_array_equal(  # a corner that no shape reaches
        frames[2, down : 20 + down, 100 + right : 180 + right], frames[0, :20, 100:180]
    )


def test_a_scene_makes_a_sentence_of_each_clear_statement():
    made = list(worded_sentences(scene_of(STILL, RIGHT), random.Random(0), (False, True)))
    assert {s.meaning for s in made if s.targets} == {"rests", "heads to right", "farthest"}
    assert {s.is_held_out for s in made} == {False, True}
    assert SAMPLE.is_steady
