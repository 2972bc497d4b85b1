"""Counted work against torch's own counter on the real network, and against a recorded count."""

from dataclasses import replace

import pytest
import torch
from cost.meta_network import SMALL, empty, flop_of

from submission.cost import organs
from submission.cost.memory import parameters
from submission.cost.operations import convolve
from submission.cost.procedures import (
    DRAW,
    IMAGES,
    KEYS,
    MEMORY,
    OWN,
    PROMPTED,
    SHARED,
    TRACKED,
    ours,
    prefix_tokens,
    public,
    total,
)
from submission.cost.released import RELEASED, config_json
from submission.cost.sizes import parse_sizes
from submission.cost.video import Asking, AtOnce, Clip, sights
from submission.models.sa2va.language import _PackedAnswers, read_prefix
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sam2.tracker import Tracker

FRAMES, KEY_FRAMES, OBJECTS = 11, 3, 2


def test_the_vision_encoder_is_counted_to_the_last_flop(sized):
    network, sizes = sized
    side = sizes.vision.image
    counted = flop_of(lambda: network.vision(empty(KEY_FRAMES, 3, side, side)))
    assert organs.encode_vision(sizes, KEY_FRAMES).flop == counted


def test_the_language_model_is_counted_to_the_last_flop(sized):
    network, sizes = sized
    tokens, rows = prefix_tokens(sizes, KEY_FRAMES), 7
    embeddings = empty(tokens, sizes.language.width)
    # The counter takes the whole square of an attention, also where it is causal.
    assert organs.read_tokens(sizes.language, tokens, tokens).flop == flop_of(
        lambda: read_prefix(network.language, embeddings)
    )
    with torch.inference_mode():
        packed = _PackedAnswers(network.language, read_prefix(network.language, embeddings))
    assert organs.read_tokens(sizes.language, rows, tokens + rows).flop == flop_of(
        lambda: packed.step([1] * rows, [0, 0, 0, 1, 1, 1, 2])
    )
    states = empty(rows, sizes.language.width)
    assert organs.choose_tokens(sizes.language, rows).flop == flop_of(
        lambda: network.language.lm_head(states)
    )
    assert organs.project_seg(sizes, rows).flop == flop_of(lambda: network.seg_projector(states))


def test_the_image_encoder_is_counted_to_the_last_flop(sized):
    network, sizes = sized
    side = sizes.grounding.image_size
    counted = flop_of(lambda: network.grounding.encode_images(empty(2, 3, side, side)))
    assert organs.encode_images(sizes.grounding, 2).flop == counted


@pytest.mark.parametrize(
    ("sized", "procedure"),
    [("small", "sa2va"), ("small", "sa2va-i"), ("Sa2VA-1B", "sa2va-i")],
    indirect=["sized"],
)
def test_a_whole_clip_is_counted_within_one_percent(sized, procedure):
    network, sizes = sized
    asking, clip = Asking(KEY_FRAMES, procedure), Clip(FRAMES, OBJECTS, 96, 128)
    side = sizes.grounding.image_size
    with torch.inference_mode():
        features = network.grounding.encode_images(empty(1, 3, side, side))[0]
    counted = flop_of(lambda: follow(network.grounding, features, procedure))
    stages = ours(sizes, clip, asking, AtOnce())
    own = (PROMPTED, MEMORY, KEYS, SHARED, OWN, TRACKED, DRAW)
    told = sum(stages[stage].flop for stage in own)
    assert told == pytest.approx(counted, rel=0.01)
    # The negative control: a model that forgot one of the two objects would be noticed.
    alone = ours(sizes, replace(clip, sentences=1), asking, AtOnce())
    assert sum(alone[stage].flop for stage in own) < 0.8 * counted


def follow(net, features, procedure):
    """Prompt and track as Sa2VA does."""
    tracker = Tracker(net, PROCEDURES[procedure].policy, frame_size=(96, 128))
    prompted = (0, 5, 10)
    for time in prompted:
        tracker.prompt(time, features, empty(OBJECTS, net.config.hidden_size))
    for time in range(FRAMES):
        if time not in prompted:
            tracker.track(time, features)


def test_frames_see_the_memory_that_can_be_counted_by_hand():
    prompted, tracked = sights(11, Asking(3))
    assert prompted == 3  # frames 0, 5 and 10
    assert [sight.maps for sight in tracked] == [3, 4, 5, 6, 7, 8, 8, 8]
    assert [sight.pointers for sight in tracked] == [1, 2, 3, 4, 6, 7, 8, 9]


def test_approximations_see_less():
    prompted, tracked = sights(11, Asking(3, nearest_prompts=1, memory_stride=2))
    assert prompted == 3
    assert [sight.maps for sight in tracked] == [1, 2, 2, 3, 3, 4, 3, 4]
    assert [sight.pointers for sight in tracked] == [1, 2, 2, 3, 5, 6, 6, 7]


# Counted once with the public modules at released sizes, outside of this project: FLOP of one
# frame (and one object), without the attention that ran inside a fused kernel.
RECORDED = {
    "image encoder and high-resolution features": 1619.729055744e9,
    "memory encoder": 11.60773632e9,
    "vision encoder, attention included, without projector": 723.593035776e9,
    "memory attention, 5 maps": 52.61754368e9,
    "memory attention, 11 maps": 59.072577536e9,
    "memory attention, 18 maps": 66.588770304e9,
    "mask decoder with three prompts": 3.563654656e9,
}


def test_the_recorded_count_of_the_public_modules():
    sizes = parse_sizes(config_json("Sa2VA-1B"))
    net = sizes.grounding
    places, width, words = net.places, net.hidden_size, sizes.language.width
    projector = 2 * sizes.vision.tokens * (4 * sizes.vision.width * words + words**2)
    fine = (convolve(16 * places, width, 32, 1) + convolve(4 * places, width, 64, 1)).flop
    two_points = 2 * 2 * 2 * width // 2  # which our network does not place
    told = {
        "image encoder and high-resolution features":
            organs.encode_images(net, 1).flop - trunk_attention(net) + fine,
        "memory encoder": organs.encode_memory(net, 1).flop,
        "vision encoder, attention included, without projector":
            organs.encode_vision(sizes, 1).flop - projector,
        "mask decoder with three prompts":
            organs.decode_masks(net, 1, prompts=3).flop - decoder_attention(net, 9) - fine
            + two_points,
    }  # fmt: skip
    for maps, pointers in ((5, 4), (11, 16), (18, 16)):
        layers = net.memory_layers
        attention = layers * 4 * places * width * places  # of the frame to itself
        told[f"memory attention, {maps} maps"] = (
            layers * organs.attend_to_itself(net, 1) + layers * organs.attend_to_memory(net, 1, 0)
            + organs.project_memory(net, maps) + organs.project_pointers(net, 1, pointers)
        ).flop - attention  # fmt: skip
    assert told == pytest.approx(RECORDED, rel=1e-12)


def trunk_attention(net) -> float:
    """Both products of the attention in Hiera-L, block by block, as its paper lays them out."""
    by_hand = 0.0
    side, width, window = 256, 144, 8
    blocks = [(256, 144, 8)] * 2 + [(256, 288, 8)] + [(128, 288, 4)] * 5 + [(128, 576, 4)]
    blocks += [(64, 576, 0 if block in (23, 33, 43) else 16) for block in range(9, 44)]
    blocks += [(64, 1152, 16)] + [(32, 1152, 8)] * 3
    for index, (side, width, window) in enumerate(blocks):
        seen = window**2 or side**2
        asking = side**2 / (4 if index in (2, 8, 44) else 1)
        by_hand += 4 * asking * seen * width
    return by_hand


def decoder_attention(net, tokens: int) -> float:
    """Both products of the attention in the mask decoder's two layers and its last look."""
    across = 4 * tokens * net.places * net.hidden_size / 2
    return 2 * (4 * tokens**2 * net.hidden_size + 2 * across) + across


# --- what follows from it ------------------------------------------------------------------------
# Parameters of the released checkpoints, as third parties counted them.
PARAMETERS = {
    "Sa2VA-1B": 1_163_665_714,
    "Sa2VA-4B": 3_941_809_714,
    "Sa2VA-8B": 8_317_666_866,
    "Sa2VA-26B": 25_778_005_938,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_of_released_sizes(name):
    told = parameters(parse_sizes(config_json(name)))
    assert told == pytest.approx(PARAMETERS[name], rel=0.001)


def test_a_second_sentence_costs_less_than_the_first():
    sizes = parse_sizes(config_json("Sa2VA-8B"))
    one, two = (
        total(ours(sizes, Clip(80, sentences, 720, 1280), Asking(5), AtOnce())).flop
        for sentences in (1, 2)
    )
    assert two < 1.6 * one
    alone = total(public(sizes, Clip(80, 2, 720, 1280), Asking(5))).flop
    assert alone > 2 * one


def test_the_public_procedure_encodes_key_frames_twice_or_three_times():
    sizes = parse_sizes(SMALL)
    clip = Clip(20, 1, 96, 128)
    once = organs.encode_images(sizes.grounding, 1).flop
    for procedure, images in (("sa2va", 20 + 5), ("sa2va-i", 20 + 2 * 5)):
        assert public(sizes, clip, Asking(5, procedure))[IMAGES].flop == images * once


def test_smaller_groups_move_more_bytes_for_little_more_work():
    sizes = parse_sizes(SMALL)
    clip, asking = Clip(20, 5, 96, 128), Asking(4)
    large, small = (total(ours(sizes, clip, asking, AtOnce(objects, 64, 1))) for objects in (5, 2))
    assert large.flop < small.flop < 1.1 * large.flop  # what is the same for a group
    assert small.calls > large.calls
    assert small.weights > large.weights


def test_a_clip_without_sentences_costs_nothing():
    assert ours(parse_sizes(SMALL), Clip(5, 0, 96, 128), Asking(2), AtOnce()) == {}


@pytest.mark.parametrize("name", RELEASED)
def test_every_released_size_is_read(name):
    clip = Clip(8, 2, 96, 128)
    assert total(ours(parse_sizes(config_json(name)), clip, Asking(5), AtOnce())).flop > 1e12
