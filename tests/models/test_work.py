"""Work of a video: units times steps against a whole clip counted in one go."""

import json
from dataclasses import replace

import pytest
import torch
from models.released import config_json

from submission.models.counting import count, empty, total
from submission.models.sa2va.internvl.config import parse_config
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.work import (
    DRAW,
    IMAGES,
    PREFIX,
    PROMPTED,
    TRACKED,
    VISION,
    course_of,
    ours,
    public,
)
from submission.models.sa2va.work_units import Units
from submission.models.sam2.tracker import Tracker
from submission.models.workload import AtOnce, Clip
from submission.recipe import PACKAGED

SIZE, OBJECTS = (96, 128), 3
CLIP = Clip(11, OBJECTS, *SIZE)


def units_of(procedure, config):
    return Units(parse_config(config, has_tuned_decoder=True), PROCEDURES[procedure])


@pytest.fixture(scope="module")
def small():
    return json.loads((PACKAGED.parent / "samples/small-5/config.json").read_text())


@pytest.mark.parametrize("procedure", ["sa2va", "sa2va-i"])
def test_prompting_and_tracking_add_up_to_a_whole_clip(small, procedure):
    units, settings = units_of(procedure, small), Settings(frames=3, procedure=procedure)
    stages = ours(units, CLIP, settings, AtOnce())
    net = units.network.grounding
    with torch.inference_mode():
        side, width = net.config.image_size, net.config.hidden_size
        seen = net.encode_images(empty(1, 3, side, side))[0]
        tracker = Tracker(net, PROCEDURES[procedure].policy, frame_size=SIZE)

    def follow():
        for time in (0, 5, 10):
            tracker.prompt(time, seen, empty(OBJECTS, width))
        for time in (1, 2, 3, 4, 6, 7, 8, 9):
            tracker.track(time, seen)

    whole = count(follow)
    told = stages[PROMPTED] + stages[TRACKED]
    assert told.flop == pytest.approx(whole.flop, rel=5e-3)
    assert told.attention == pytest.approx(whole.attention, rel=5e-3)
    assert told.values == pytest.approx(whole.values, rel=0.02)
    # The negative control: one object less would be noticed.
    fewer = ours(units, replace(CLIP, sentences=2), settings, AtOnce())
    assert fewer[PROMPTED].flop + fewer[TRACKED].flop < 0.8 * whole.flop


def test_what_a_video_costs_once_does_not_grow_with_its_sentences(small):
    units, settings = units_of("sa2va", small), Settings(frames=3)
    few, many = (ours(units, replace(CLIP, sentences=n), settings, AtOnce()) for n in (1, 3))
    for stage in (VISION, PREFIX, IMAGES):
        assert few[stage] == many[stage]
    assert many[DRAW].values == pytest.approx(3 * few[DRAW].values, rel=0.02)
    assert ours(units, replace(CLIP, sentences=0), settings, AtOnce()) == {}


def test_the_public_procedure_does_everything_again_for_every_sentence(small):
    units, settings = units_of("sa2va-i", small), Settings(frames=3, procedure="sa2va-i")
    mine, theirs = ours(units, CLIP, settings, AtOnce()), public(units, CLIP, settings)
    assert theirs[VISION].flop == 3 * mine[VISION].flop
    # A hardened prompt is encoded twice more: T + 2 M images for a sentence.
    assert theirs[IMAGES].flop == pytest.approx(3 * (11 + 2 * 3) / 11 * mine[IMAGES].flop)
    assert total(theirs).flop > 2 * total(mine).flop
    approximate = replace(settings, nearest_prompts=1, memory_stride=2)
    assert public(units, CLIP, approximate) == theirs
    assert ours(units, CLIP, approximate, AtOnce())[TRACKED].flop < mine[TRACKED].flop


def test_a_procedure_without_tracking_has_none():
    units = units_of("sasasa2va", config_json("Sa2VA-1B"))
    settings = Settings(procedure="sasasa2va", mode="uniform")
    course = course_of(units.procedure, CLIP, settings)
    assert (course.images, course.segs, course.sights) == (20, 10, ())
    assert course.frames == 11


# Counted once with the public modules at released sizes, outside of this project: FLOP of one
# image through SAM 2's encoder with its high-resolution projections.
RECORDED_IMAGE = 1619.729055744e9


def test_the_image_encoder_is_the_recorded_one():
    units = units_of("sa2va", config_json("Sa2VA-1B"))
    one = units.images(1)
    assert one.flop - one.attention == pytest.approx(RECORDED_IMAGE, rel=2e-3)
