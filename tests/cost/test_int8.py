"""A language model in eight bits as the cost model sees it, against a network without values."""

from dataclasses import replace

import pytest
import torch
from cost.meta_network import META, SMALL, empty, live_bytes, without_values

from submission.cost import organs
from submission.cost.memory import cache_values, language_bytes, peak_memory, weight_bytes
from submission.cost.procedures import (
    ANSWER_TOKENS,
    ANSWERS,
    PREFIX,
    ours,
    prefix_tokens,
    public,
    total,
)
from submission.cost.released import config_json
from submission.cost.sizes import parse_sizes
from submission.cost.video import Asking, AtOnce, Clip
from submission.models.quantized import Int8Linear, keep_in_int8
from submission.models.sa2va.language import read_prefix

CONFIGS = {"small": SMALL, **{name: config_json(name) for name in ("Sa2VA-1B", "Sa2VA-8B")}}
CLIP = Clip(frames=79, sentences=16, height=1080, width=1920)
EXACT = Asking(20)
INT8 = replace(EXACT, quantize="int8")


@pytest.fixture(scope="module", params=CONFIGS)
def sized(request):
    network = without_values(CONFIGS[request.param])
    keep_in_int8(network.language.model)
    for module in network.modules():
        if isinstance(module, Int8Linear):
            module.scale = module.scale.to(META, torch.bfloat16)
    return network, parse_sizes(CONFIGS[request.param])


def test_weights(sized):
    network, sizes = sized
    layers = [module for module in network.modules() if isinstance(module, Int8Linear)]
    matrices = sum(layer.weight.numel() for layer in layers)
    rows = sum(len(layer.scale) for layer in layers)
    assert organs.layer_matrices(sizes.language) == (matrices, rows)
    held = sum(value.nbytes for value in network.parameters())
    held += sum(layer.scale.nbytes for layer in layers)
    told = weight_bytes(sizes, replace(INT8, procedure="sa2va-i"), 2)  # two decoders
    assert told == pytest.approx(held, rel=0.01)
    whole = weight_bytes(sizes, replace(EXACT, procedure="sa2va-i"), 2)
    assert whole - told == matrices - 2 * rows


def test_a_prefix_holds_one_whole_weight_beside_its_states(sized):
    network, sizes = sized
    tokens = prefix_tokens(sizes, 3)
    embeddings = empty(tokens, sizes.language.width)
    peak, _ = live_bytes(lambda: read_prefix(network.language, embeddings))
    cache = 2 * cache_values(sizes, Clip(11, 0, 9, 9), Asking(3), AtOnce(sentences=0))
    assert cache + language_bytes(sizes, tokens, 2, "int8") == pytest.approx(peak, rel=0.05)


def test_work_is_the_same_and_bytes_are_more():
    sizes = parse_sizes(config_json("Sa2VA-26B"))
    exact, int8 = (ours(sizes, CLIP, asking, AtOnce()) for asking in (EXACT, INT8))
    assert total(int8).flop == total(exact).flop
    matrices, _ = organs.layer_matrices(sizes.language)
    for stage, passes in ((PREFIX, 1), (ANSWERS, ANSWER_TOKENS)):
        more = int8[stage].moved(2) - exact[stage].moved(2)
        assert more == pytest.approx(3 * passes * matrices)  # read 1, written 2, beside the 2 read
    assert {k: v for k, v in int8.items() if k not in (PREFIX, ANSWERS)} == {
        k: v for k, v in exact.items() if k not in (PREFIX, ANSWERS)
    }
    assert public(sizes, CLIP, INT8) == public(sizes, CLIP, EXACT)


def test_a_26b_takes_half_for_its_language_model():
    sizes = parse_sizes(config_json("Sa2VA-26B"))
    exact, int8 = (
        peak_memory(sizes, CLIP, asking, AtOnce(), gpu_bytes=0) for asking in (EXACT, INT8)
    )
    matrices, rows = organs.layer_matrices(sizes.language)
    assert exact.weights - int8.weights == pytest.approx(matrices - 2 * rows)
    assert 18e9 < matrices < 20e9
    assert int8.total < exact.total
