"""Peak memory by construction, term by term, against tensors that are really alive."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from cost.meta_network import empty, live_bytes
from sam2.modeling.position_encoding import PositionEmbeddingSine

from submission.cost.fitting import fit, most
from submission.cost.memory import (
    FEATURES_SHARE,
    cache_values,
    feature_values,
    images_bytes,
    language_bytes,
    memory_bytes,
    objects_bytes,
    parameters,
    peak_memory,
    vision_bytes,
)
from submission.cost.procedures import prefix_tokens
from submission.cost.released import config_json
from submission.cost.sizes import parse_sizes
from submission.cost.video import Asking, AtOnce, Clip, sights
from submission.models.mask_packing import pack_bits
from submission.models.sa2va.language import read_prefix
from submission.models.sa2va.model import Sa2VA
from submission.models.sam2.image_features import GPU_SHARE
from submission.models.sam2.network import ImageFeatures
from submission.models.sam2.policy import TrackerPolicy
from submission.models.sam2.sizes import GroundingConfig
from submission.models.sam2.tracker import Tracker, is_foreground

CLIP = Clip(frames=11, sentences=4, height=1080, width=1920)
ASKING = Asking(3, sampling="first")
NEAR = 0.05  # how far the model may be from what is alive, as a part


def test_weights(sized):
    network, sizes = sized
    held = sum(value.numel() for value in network.parameters())
    assert parameters(sizes, tuned=True) == pytest.approx(held, rel=0.01)


def test_vision_encoder(sized):
    network, sizes = sized
    pixels = empty(3, 3, sizes.vision.image, sizes.vision.image)
    peak, _ = live_bytes(lambda: network.vision(pixels))
    assert vision_bytes(sizes, 3, 2) == pytest.approx(peak, rel=NEAR)


def test_language_prefix_and_what_it_keeps(sized):
    network, sizes = sized
    tokens = prefix_tokens(sizes, 3)
    embeddings = empty(tokens, sizes.language.width)
    peak, held = live_bytes(lambda: read_prefix(network.language, embeddings))
    at_once = AtOnce(sentences=0)
    cache = 2 * cache_values(sizes, Clip(11, 0, 9, 9), ASKING, at_once)
    assert cache == pytest.approx(held, rel=0.01)
    assert cache + language_bytes(sizes, tokens, 2) == pytest.approx(peak, rel=NEAR)


@pytest.mark.parametrize("images", [1, 3])
def test_image_encoder(sized, images):
    network, sizes = sized
    net, side = network.grounding, sizes.grounding.image_size
    pixels = empty(images, 3, side, side)
    peak, held = live_bytes(lambda: net.encode_images(pixels))
    assert images_bytes(sizes.grounding, images, 2) == pytest.approx(peak, rel=NEAR)
    assert held == pytest.approx(2 * images * feature_values(sizes.grounding), rel=0.01)


@pytest.mark.parametrize("objects", [3])
def test_memory_that_a_tracker_keeps(sized, objects):
    network, sizes = sized

    def follow():
        tracker, features = begin(network, sizes)
        for time in range(ASKING.frames):
            tracker.prompt(time, features, empty(objects, sizes.grounding.hidden_size))
        for time in range(ASKING.frames, CLIP.frames):
            tracker.track(time, features)
        return tracker

    for module in network.grounding.modules():
        if isinstance(module, PositionEmbeddingSine):
            module.cache.clear()  # its tables count, too
    _, held = live_bytes(follow)
    told = memory_bytes(sizes.grounding, CLIP, ASKING, objects, 2)
    assert told == pytest.approx(held, rel=NEAR)


@pytest.mark.parametrize("objects", [3])
def test_activations_of_following_objects(sized, objects):
    network, sizes = sized
    tracker, features = begin(network, sizes)
    with torch.inference_mode():
        for time in range(ASKING.frames):
            found = tracker.prompt(time, features, empty(objects, sizes.grounding.hidden_size))
        for time in range(ASKING.frames, CLIP.frames - 1):
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


def test_features_wait_where_the_code_lets_them_wait():
    assert 1 / FEATURES_SHARE == GPU_SHARE


# --- what fits -----------------------------------------------------------------------------------
FULL_HD = Clip(frames=79, sentences=16, height=1080, width=1920)


@pytest.mark.parametrize(
    ("name", "frames", "gigabytes", "limits"),
    [
        ("Sa2VA-26B", 20, 80, AtOnce(objects=16, sentences=64, images=8)),
        ("Sa2VA-8B", 20, 24, AtOnce(objects=4, sentences=64, images=8)),
        ("Sa2VA-1B", 5, 8, AtOnce(objects=8, sentences=64, images=8)),
    ],
)
def test_the_sizes_that_are_promised_fit(name, frames, gigabytes, limits):
    memory = gigabytes * 1e9
    need = needs(name, frames, memory)
    assert fit([need], AtOnce(), memory) == limits
    assert need(limits) <= memory


def needs(name, frames, memory):
    sizes = parse_sizes(config_json(name))
    return lambda at_once: (
        peak_memory(sizes, FULL_HD, Asking(frames), at_once, gpu_bytes=memory).total
    )


def test_what_does_not_fit_is_not_squeezed_in():
    assert fit([needs("Sa2VA-26B", 20, 24e9)], AtOnce(), 24e9) is None


def test_the_largest_of_several_videos_decides():
    small, large = (lambda at_once: 1.0), (lambda at_once: 10.0 * at_once.objects)
    assert most([small, large], AtOnce(objects=4)) == 40
    assert fit([small, large], AtOnce(objects=4), 25).objects == 2


def test_every_setting_lowers_the_peak_that_it_is_named_for():
    sizes = parse_sizes(config_json("Sa2VA-1B"))
    peak = lambda **changed: peak_memory(  # noqa: E731
        sizes, FULL_HD, Asking(20), AtOnce(**changed), gpu_bytes=8e9
    )
    assert peak(objects=8).kept == pytest.approx(peak(objects=16).kept / 2, rel=0.02)
    assert peak(images=1).features < peak(images=8).features
    cached = lambda sentences: cache_values(  # noqa: E731
        sizes, FULL_HD, Asking(20), AtOnce(sentences=sentences)
    )
    assert cached(1) < cached(64)


def test_the_language_cache_and_memory_of_objects_are_not_held_together():
    sizes = parse_sizes(config_json("Sa2VA-26B"))
    reading = replace(FULL_HD, frames=20)  # nothing is tracked
    peak = peak_memory(sizes, reading, Asking(20), AtOnce(objects=1, images=1), gpu_bytes=8e9)
    following = peak_memory(sizes, FULL_HD, Asking(20), AtOnce(), gpu_bytes=8e9)
    assert (peak.cache > 0, peak.kept) == (True, 0)
    assert (following.cache, following.kept > 0) == (0, True)


def test_features_of_a_long_clip_wait_in_host_memory():
    sizes = parse_sizes(config_json("Sa2VA-1B"))
    peaks = {
        frames: peak_memory(
            sizes, replace(FULL_HD, frames=frames), Asking(5), AtOnce(), gpu_bytes=80e9
        ).features
        for frames in (20, 40, 400)
    }
    assert peaks[400] < peaks[20] < peaks[40]


def test_sasasa2va_remembers_where_its_mode_tracks_and_nowhere_else():
    wrap = Asking(5, "sasasa2va", mode="wrap_around")
    prompted, tracked = sights(150, wrap)
    assert (prompted, len(tracked), tracked[0].maps, tracked[-1].maps) == (100, 50, 100, 106)
    assert sights(150, replace(wrap, mode="uniform")) == (150, ())
    net, clip = GroundingConfig(), Clip(150, 8, 720, 1280)
    one, two = (memory_bytes(net, clip, wrap, objects, 2) for objects in (1, 2))
    maps = 100 * net.places * net.memory_size * 2  # 52 MB of what SAM 2 remembers of an object
    assert two - one > 8 * maps, "keys and values of every layer lie beside them"
    assert memory_bytes(net, clip, replace(wrap, mode="uniform"), 8, 2) == 0
