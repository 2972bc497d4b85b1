"""Work of a video: units times how often they come, against whole calls counted in one go."""

import json
from dataclasses import replace
from functools import cache

import pytest
import torch
from models.meta_network import without_values
from models.released import config_json

from submission.models.counting import count, empty
from submission.models.quantized import Int8Linear, keep_in_int8
from submission.models.sa2va.course import course_of
from submission.models.sa2va.language import read_prefix
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.registry import parse_sizes
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.work import (
    ANSWERS,
    DRAW,
    IMAGES,
    PREFIX,
    PROMPTED,
    TRACKED,
    VISION,
    ours,
    public,
    weights,
)
from submission.models.sa2va.work_units import LanguageUnits, VisionUnits
from submission.models.sam2.tracker import Tracker
from submission.models.sam2.work_units import Sam2Units
from submission.models.unit_calls import once, units_of
from submission.models.workload import Clip, Limits, total
from submission.recipes.find import PACKAGED

SIZE, OBJECTS = (96, 128), 3
CLIP = Clip(11, OBJECTS, *SIZE)
SMALL = json.loads((PACKAGED.parent / "samples/small-5/config.json").read_text())


class Model:
    """Sizes and counts of one checkpoint."""

    def __init__(self, values, procedure="sa2va", quantize="none"):
        self.values, self.sizes = values, parse_sizes(values)
        policy = PROCEDURES[procedure].policy
        self.parts = {
            "vision": VisionUnits(values),
            "language": LanguageUnits(values, quantize),
            "sam2": Sam2Units(self.sizes.grounding, policy, tuned=policy.needs_original_decoder),
        }
        self.count = cache(lambda unit: self.parts[unit.part](unit))

    def work(self, calls):
        return {name: one.work(self.count) for name, one in calls.items()}

    def ours(self, clip, settings, limits=Limits()):  # noqa: B008
        return self.work(ours(self.sizes, clip, settings, limits))

    def public(self, clip, settings):
        return self.work(public(self.sizes, clip, settings))


@pytest.fixture(scope="module", params=["sa2va", "sa2va-i"])
def model(request):
    return Model(SMALL, request.param), Settings(frames=3, procedure=request.param)


def test_prompting_and_tracking_add_up_to_a_whole_clip(model):
    model, settings = model
    stages = model.ours(CLIP, settings)
    net = model.parts["sam2"].network
    with torch.inference_mode():
        side, width = net.config.image_size, net.config.hidden_size
        seen = net.encode_images(empty(1, 3, side, side))[0]
        policy = PROCEDURES[settings.procedure].policy
        tracker = Tracker(net, policy, frame_size=SIZE)

    def follow():
        for time in (0, 5, 10):
            tracker.prompt(time, seen, empty(OBJECTS, width))
        for time in (1, 2, 3, 4, 6, 7, 8, 9):
            tracker.track(time, seen)

    whole = count(follow)
    told = stages[PROMPTED] + stages[TRACKED]
    assert told.flop == pytest.approx(whole.flop, rel=5e-3)
    assert told.attention == pytest.approx(whole.attention, rel=5e-3)
    assert told.values == pytest.approx(whole.values, rel=0.03)  # recent maps move seats
    # The negative control: one object less would be noticed.
    fewer = model.ours(replace(CLIP, sentences=2), settings)
    assert fewer[PROMPTED].flop + fewer[TRACKED].flop < 0.8 * whole.flop


def test_what_a_video_costs_once_does_not_grow_with_its_sentences(model):
    model, settings = model
    few, many = (model.ours(replace(CLIP, sentences=n), settings) for n in (1, 3))
    for stage in (VISION, PREFIX, IMAGES):
        assert few[stage] == many[stage]
    assert many[DRAW].values == pytest.approx(3 * few[DRAW].values, rel=0.02)
    assert model.ours(replace(CLIP, sentences=0), settings) == {}
    assert model.public(replace(CLIP, sentences=0), settings) == {}


def test_the_public_procedure_does_everything_again_for_every_sentence(model):
    model, settings = model
    mine, theirs = model.ours(CLIP, settings), model.public(CLIP, settings)
    assert theirs[VISION].flop == 3 * mine[VISION].flop
    # T + M images for a sentence; a hardened prompt is encoded twice more: T + 2 M.
    looks = 2 if settings.procedure == "sa2va-i" else 1
    assert theirs[IMAGES].flop == pytest.approx(3 * (11 + looks * 3) / 11 * mine[IMAGES].flop)
    assert total(theirs).flop > 1.8 * total(mine).flop
    approximate = replace(settings, nearest_prompts=1, memory_stride=2)
    assert model.public(CLIP, approximate) == theirs
    assert model.ours(CLIP, approximate)[TRACKED].flop < mine[TRACKED].flop


def test_videos_of_all_sizes_and_lengths_need_the_same_few_counts(model):
    model, settings = model
    model.ours(CLIP, settings)
    before = model.count.cache_info().misses
    for height, width, frames in ((480, 854, 40), (720, 1280, 79), (1080, 607, 200)):
        model.ours(Clip(frames, OBJECTS, height, width), settings)
    assert model.count.cache_info().misses == before


def test_a_count_does_not_hang_on_what_was_counted_before(model):
    model, settings = model
    fresh = Model(SMALL, settings.procedure)
    clip = replace(CLIP, sentences=1)
    stages = ours(fresh.sizes, clip, settings, Limits())
    units = sorted(units_of(stages), key=str, reverse=True)
    assert [fresh.count(unit) for unit in units] == [model.count(unit) for unit in units]


def test_a_procedure_without_tracking_has_none():
    settings = Settings(procedure="sasasa2va", mode="uniform")
    course = course_of(11, settings)
    assert (course.images, course.segs, course.tracked, course.frames) == (20, 10, 0, 11)
    tracking = course_of(150, replace(settings, mode="wrap_around"))
    assert (tracking.prompted, tracking.tracked) == (100, 50)
    maps, pointers = zip(*tracking.sights, strict=True)
    assert (min(maps), max(maps), max(pointers)) == (100, 106, 115)


# --- few layers, few tokens, few pixels stand for many -------------------------------------------
def test_a_language_model_of_all_layers_reads_as_few_ones_say():
    model = Model(SMALL)
    network = without_values(SMALL)
    width = network.language.config.hidden_size
    clip, settings = Clip(11, 4, *SIZE), Settings(frames=3)
    tokens = model.sizes.prefix_tokens(3, SIZE, settings)
    whole = count(lambda: read_prefix(network.language, empty(tokens, width)))
    stages = model.ours(clip, settings)
    assert stages[PREFIX].flop == whole.flop
    assert stages[PREFIX].calls == pytest.approx(whole.calls)
    assert stages[PREFIX].values == pytest.approx(whole.values, rel=1e-6)
    behind = LanguageUnits(SMALL)
    layers = model.sizes.language.layers
    asked = behind.behind(layers, 100, tokens + 100).flop
    assert asked < stages[ANSWERS].flop < 1.5 * asked  # and a token a step for each


def test_in_eight_bits_the_same_flop_and_more_bytes():
    exact, narrow = Model(SMALL), Model(SMALL, quantize="int8")
    clip, settings = Clip(11, 4, *SIZE), Settings(frames=3)
    whole, less = exact.ours(clip, settings), narrow.ours(clip, settings)
    for stage in (PREFIX, ANSWERS):
        assert less[stage].flop == pytest.approx(whole[stage].flop)
        assert less[stage].values > whole[stage].values
    network = without_values(SMALL)
    keep_in_int8(network.language.model)
    matrices = sum(
        one.weight.numel() for one in network.language.modules() if isinstance(one, Int8Linear)
    )
    wide, small = (calls.work(narrow.count).values for calls in weights(narrow.sizes, "int8"))
    assert small == pytest.approx(matrices)
    assert wide + small == pytest.approx(weights(exact.sizes)[0].work(exact.count).values)


@pytest.mark.parametrize("name", ["Sa2VA-1B", "sample"])
def test_weights_are_those_of_the_whole_network(name):
    values = SMALL if name == "sample" else config_json(name)
    model = Model(values, "sa2va-i")
    held = sum(one.numel() for one in without_values(values).parameters())
    assert weights(model.sizes)[0].work(model.count).values == pytest.approx(held, rel=1e-9)


# Counted once with the public modules at released sizes, outside of this project: FLOP of one
# image through SAM 2's encoder with its high-resolution projections.
RECORDED_IMAGE = 1619.729055744e9


def test_the_image_encoder_is_the_recorded_one():
    sam2 = Sam2Units(parse_sizes(config_json("Sa2VA-1B")).grounding, PROCEDURES["sa2va"].policy,
                     tuned=False)  # fmt: skip
    one = once("sam2", "images", 1).work(sam2)
    assert one.flop - one.attention == pytest.approx(RECORDED_IMAGE, rel=2e-3)
