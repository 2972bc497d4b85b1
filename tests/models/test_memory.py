"""Peak memory by construction, term by term, against tensors that are really alive."""

import copy
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from models.meta_network import META, SMALL, empty, live_bytes, without_values
from sam2.modeling.position_encoding import PositionEmbeddingSine

from submission.cost.fitting import fit, most
from submission.cost.released import config_json
from submission.experts.sa2va.cost import Cost
from submission.models.mask_packing import pack_bits
from submission.models.quantized import Int8Linear, keep_in_int8
from submission.models.sa2va.course import course_of
from submission.models.sa2va.language import read_prefix
from submission.models.sa2va.memory import (
    cache_values,
    images_bytes,
    language_bytes,
    memory_bytes,
    objects_bytes,
    peak_memory,
)
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.registry import parse_sizes
from submission.models.sa2va.settings import Settings
from submission.models.sam2.network import ImageFeatures
from submission.models.sam2.policy import TrackerPolicy
from submission.models.sam2.sizes import GroundingConfig
from submission.models.sam2.tracker import Tracker, is_foreground
from submission.models.workload import Clip, Limits

CLIP = Clip(frames=11, sentences=4, height=1080, width=1920)
SETTINGS = Settings(frames=3, sampling="first")
CONFIGS = {"small": SMALL, "Sa2VA-1B": config_json("Sa2VA-1B")}
NEAR = 0.05  # how far the model may be from what is alive, as a part


@pytest.fixture(scope="module", params=CONFIGS)
def sized(request):
    """A network without values, and its sizes as the cost is told from them."""
    return without_values(CONFIGS[request.param]), parse_sizes(CONFIGS[request.param])


def test_vision_encoder(sized):
    network, sizes = sized
    pixels = empty(3, 3, sizes.vision.image, sizes.vision.image)
    peak, _ = live_bytes(lambda: network.vision(pixels))
    assert sizes.vision_bytes(3, (9, 9), SETTINGS, 2) == pytest.approx(peak, rel=NEAR)


def test_language_prefix_and_what_it_keeps(sized):
    network, sizes = sized
    tokens = sizes.prefix_tokens(3, (9, 9), SETTINGS)
    embeddings = empty(tokens, sizes.language.width)
    peak, held = live_bytes(lambda: read_prefix(network.language, embeddings))
    cache = 2 * cache_values(sizes, tokens, 0)
    assert cache == pytest.approx(held, rel=0.01)
    assert cache + language_bytes(sizes, tokens, 2) == pytest.approx(peak, rel=NEAR)


@pytest.mark.parametrize("images", [1, 3])
def test_image_encoder(sized, images):
    network, sizes = sized
    net, side = network.grounding, sizes.grounding.image_size
    pixels = empty(images, 3, side, side)
    peak, held = live_bytes(lambda: net.encode_images(pixels))
    assert images_bytes(sizes.grounding, images, 2) == pytest.approx(peak, rel=NEAR)
    assert held == pytest.approx(2 * images * sizes.grounding.feature_values, rel=0.01)


@pytest.mark.parametrize("objects", [3])
def test_memory_that_a_tracker_keeps(sized, objects):
    network, sizes = sized

    def follow():
        tracker, features = begin(network, sizes)
        for time in range(SETTINGS.frames):
            tracker.prompt(time, features, empty(objects, sizes.grounding.hidden_size))
        for time in range(SETTINGS.frames, CLIP.frames):
            tracker.track(time, features)
        return tracker

    for module in network.grounding.modules():
        if isinstance(module, PositionEmbeddingSine):
            module.cache.clear()  # its tables count, too
    _, held = live_bytes(follow)
    course = course_of(CLIP.frames, SETTINGS)
    told = memory_bytes(sizes.grounding, course, SETTINGS, objects, 2)
    assert told == pytest.approx(held, rel=NEAR)


@pytest.mark.parametrize("objects", [3])
def test_activations_of_following_objects(sized, objects):
    network, sizes = sized
    tracker, features = begin(network, sizes)
    with torch.inference_mode():
        for time in range(SETTINGS.frames):
            found = tracker.prompt(time, features, empty(objects, sizes.grounding.hidden_size))
        for time in range(SETTINGS.frames, CLIP.frames - 1):
            tracker.track(time, features)
    tracked, _ = live_bytes(lambda: tracker.track(CLIP.frames - 1, features))
    drawn, _ = live_bytes(lambda: pack_on_the_device(network, found))
    told = objects_bytes(sizes.grounding, objects, CLIP, 2)
    assert told == pytest.approx(max(tracked, drawn), rel=NEAR)


def begin(network, sizes):
    """A tracker, and the features of a frame on the meta device."""
    side = sizes.grounding.image_size // 16
    width = sizes.grounding.hidden_size
    features = ImageFeatures(*(empty(1, width, k * side, k * side) for k in (4, 2, 1)))
    tracker = Tracker(network.grounding, TrackerPolicy(), frame_size=(CLIP.height, CLIP.width))
    return tracker, features


def pack_on_the_device(network, found):
    """Enlarge and pack as Sa2VA does, up to the copy to the host."""
    model = SimpleNamespace(network=network)
    shown = Sa2VA.upsample(model, found.logits, (CLIP.height, CLIP.width))
    pack_bits(is_foreground(shown[:, 0]))


# --- what fits -----------------------------------------------------------------------------------
FULL_HD = Clip(frames=79, sentences=16, height=1080, width=1920)


@pytest.mark.parametrize(
    ("name", "frames", "gigabytes", "limits"),
    [
        ("Sa2VA-26B", 20, 80, Limits(objects_at_once=16, sentences_at_once=64, images_at_once=8)),
        ("Sa2VA-8B", 20, 24, Limits(objects_at_once=4, sentences_at_once=64, images_at_once=8)),
        ("Sa2VA-1B", 5, 8, Limits(objects_at_once=8, sentences_at_once=64, images_at_once=8)),
    ],
)
def test_the_sizes_that_are_promised_fit(name, frames, gigabytes, limits):
    memory = gigabytes * 1e9
    need = needs(name, frames, memory)
    assert fit([need], Limits(), memory) == limits
    assert need(limits) <= memory


def needs(name, frames, memory):
    return lambda limits: peak(name, FULL_HD, frames, limits, memory).total


@cache
def cost_of(name):
    return Cost(config_json(name), name, PROCEDURES["sa2va"], "none")


def peak(name, clip, frames, limits, memory):
    cost = cost_of(name)
    settings = Settings(frames=frames)
    return peak_memory(cost.sizes, cost.weights(2), clip, settings, limits, gpu_bytes=memory)


def test_what_does_not_fit_is_not_squeezed_in():
    assert fit([needs("Sa2VA-26B", 20, 24e9)], Limits(), 24e9) is None


def test_the_largest_of_several_videos_decides():
    small, large = (lambda limits: 1.0), (lambda limits: 10.0 * limits.objects_at_once)
    assert most([small, large], Limits(objects_at_once=4)) == 40
    assert fit([small, large], Limits(objects_at_once=4), 25).objects_at_once == 2


def test_every_setting_lowers_the_peak_that_it_is_named_for():
    def with_limits(**changed):
        return peak("Sa2VA-1B", FULL_HD, 20, Limits(**changed), 8e9)

    half = with_limits(objects_at_once=16).kept / 2
    assert with_limits(objects_at_once=8).kept == pytest.approx(half, rel=0.02)
    assert with_limits(images_at_once=1).features < with_limits(images_at_once=8).features
    sizes = parse_sizes(config_json("Sa2VA-1B"))
    assert cache_values(sizes, 1000, 1) < cache_values(sizes, 1000, 64)


def test_the_language_cache_and_memory_of_objects_are_not_held_together():
    reading = replace(FULL_HD, frames=20)  # nothing is tracked
    alone = peak("Sa2VA-26B", reading, 20, Limits(objects_at_once=1, images_at_once=1), 8e9)
    following = peak("Sa2VA-26B", FULL_HD, 20, Limits(), 8e9)
    assert (alone.cache > 0, alone.kept) == (True, 0)
    assert (following.cache, following.kept > 0) == (0, True)


def test_features_of_a_long_clip_wait_in_host_memory():
    peaks = {
        frames: peak("Sa2VA-1B", replace(FULL_HD, frames=frames), 5, Limits(), 80e9).features
        for frames in (20, 40, 400)
    }
    assert peaks[400] < peaks[20] < peaks[40]


def test_sasasa2va_remembers_where_its_mode_tracks_and_nowhere_else():
    wrap = Settings(procedure="sasasa2va", mode="wrap_around")
    still = replace(wrap, mode="uniform")
    net = GroundingConfig()
    one, two = (memory_bytes(net, course_of(150, wrap), wrap, objects, 2) for objects in (1, 2))
    maps = 100 * net.places * net.memory_size * 2  # 52 MB of what SAM 2 remembers of an object
    assert two - one > 8 * maps, "keys and values of every layer lie beside them"
    assert memory_bytes(net, course_of(150, still), still, 8, 2) == 0


# --- in eight bits -------------------------------------------------------------------------------
def test_a_prefix_in_eight_bits_holds_one_whole_weight_beside_its_states(sized):
    network, sizes = sized
    language = copy.deepcopy(network.language)
    keep_in_int8(language.model)
    for module in language.modules():
        if isinstance(module, Int8Linear):
            module.scale = module.scale.to(META, torch.bfloat16)
    tokens = sizes.prefix_tokens(3, (9, 9), SETTINGS)
    embeddings = empty(tokens, sizes.language.width)
    peak, _ = live_bytes(lambda: read_prefix(language, embeddings))
    cache = 2 * cache_values(sizes, tokens, 0)
    assert cache + language_bytes(sizes, tokens, 2, "int8") == pytest.approx(peak, rel=NEAR)


def test_a_26b_takes_half_for_its_language_model():
    exact, int8 = (
        Cost(config_json("Sa2VA-26B"), "it", PROCEDURES["sa2va"], how).weights(2)
        for how in ("none", "int8")
    )
    assert 18e9 < exact - int8 < 20e9
