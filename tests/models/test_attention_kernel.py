"""Kernels of memory attention compute attention, and the right one is chosen where it can run."""

from functools import partial
from math import log
from types import SimpleNamespace

import pytest
import torch
from models.cases import random
from torch.testing import assert_close

from submission.errors import InputError
from submission.models.sam2 import attention, attention_kernel
from submission.models.sam2.attention import attend_in_blocks, for_any_number
from submission.models.sam2.network import GroundingNetwork
from submission.models.sam2.sizes import GroundingConfig

pytestmark = pytest.mark.usefixtures("without_gradients")


@pytest.fixture
def network(sa2va) -> GroundingNetwork:
    return sa2va.network.grounding


def choose_kernel(like, wanted="auto", objects=1):
    return attention_kernel.choose_kernels(like, GroundingConfig(), wanted).of(objects)


@pytest.mark.parametrize("block", [1, 50 * 7, 50 * 64, 10**6])
@pytest.mark.parametrize("shared", [True, False], ids=["one query for all", "own queries"])
def test_attention_in_blocks_is_attention(monkeypatch, block, shared):
    monkeypatch.setattr(attention, "BLOCK", block)
    queries = random(1 if shared else 3, 64, 16, seed=1)
    keys, values = random(3, 50, 16, seed=2), random(3, 50, 4, seed=3)
    scores = queries @ keys.transpose(1, 2) / 4
    assert_close(attend_in_blocks(queries, keys, values), scores.softmax(-1) @ values)


def test_gradients_and_bfloat16_keep_to_kernels_that_can(network):
    weights = network.memory_attention.layers[0].cross_attn_image.k_proj.bias
    assert choose_kernel(weights).is_narrow
    assert not choose_kernel(weights.to(torch.bfloat16)).is_narrow
    with torch.inference_mode(False), torch.enable_grad():
        assert not choose_kernel(weights).is_narrow


class OnGpu:
    """As much of a tensor as is asked when a kernel is chosen."""

    device = torch.device("cuda")
    dtype = torch.bfloat16
    shape = (256,)


@pytest.fixture
def usable(monkeypatch):
    """Say which kernels a GPU has, and whether cuDNN's takes narrow values."""

    def say(words: str, capability: int = 8, narrow: bool = False) -> None:
        backends = {getattr(torch.nn.attention.SDPBackend, word) for word in words.split()}
        monkeypatch.setattr(attention_kernel, "_usable_on_gpu", lambda like: backends)
        monkeypatch.setattr(attention_kernel, "_is_right", lambda *_: narrow)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (capability, 0))

    return say


@pytest.mark.parametrize(
    ("words", "narrow", "names"),
    [("FLASH_ATTENTION", True, ["flash"]),
     ("EFFICIENT_ATTENTION", True, ["memory-efficient with narrow values"]),
     ("EFFICIENT_ATTENTION CUDNN_ATTENTION", False, ["cuDNN", "memory-efficient"]),
     ("CUDNN_ATTENTION FLASH_ATTENTION EFFICIENT_ATTENTION", True,
      ["flash", "cuDNN with narrow values", "memory-efficient with narrow values"])],
)  # fmt: skip
def test_on_a_gpu_the_clock_chooses_among_what_can_run(usable, monkeypatch, words, narrow, names):
    usable(words, narrow=narrow)
    timed = []

    def choose_last(kernels, like, sizes):
        timed.extend(kernels)
        return for_any_number(kernels[-1])

    monkeypatch.setattr(attention_kernel, "choose_by_time", choose_last)
    kernel = choose_kernel(OnGpu())
    assert kernel is timed[-1]
    assert [one.name for one in timed] == names
    assert [one.is_narrow for one in timed] == ["narrow" in name for name in names]


@pytest.mark.parametrize("narrow", [False, True])
def test_on_hopper_the_number_of_objects_chooses_between_flash_and_cudnn(
    usable, monkeypatch, narrow
):
    kinds = torch.nn.attention.SDPBackend
    usable("FLASH_ATTENTION CUDNN_ATTENTION", capability=9, narrow=narrow)
    monkeypatch.setattr(attention_kernel, "only", lambda backend: backend)
    kernels = attention_kernel.choose_kernels(OnGpu(), GroundingConfig())
    many = "cuDNN with narrow values" if narrow else "cuDNN"
    assert kernels.name == f"flash, {many} from 4 objects"
    for objects, kind in ((1, "FLASH"), (3, "FLASH"), (4, "CUDNN"), (16, "CUDNN")):
        kernel = kernels.of(objects)
        assert kernel.within is getattr(kinds, f"{kind}_ATTENTION")
        assert (kernel.attend is kernel.within) != kernel.is_narrow
        assert kernel.is_narrow == (narrow and kind == "CUDNN")


def attend_and_sum(queries, keys, values):
    scores = queries @ keys.mT / keys.shape[-1] ** 0.5
    return scores.softmax(-1) @ values, scores.logsumexp(-1)


@pytest.mark.parametrize("tokens", [4, 12, 13, 17, 24])
def test_maps_and_what_stands_before_them_are_attended_to_apart_and_joined(tokens):
    queries = random(1, 5, 16, seed=1)
    keys, values = 3 * random(3, tokens, 16, seed=2), random(3, tokens, 4, seed=3)
    lengths = []

    def maps(queries, keys, values):
        lengths.append(keys.shape[1])
        return attend_and_sum(queries, keys, values)

    found = attention.attend_in_two(
        queries, keys, values, cells=4, maps=maps, others=attend_and_sum
    )
    assert_close(found, attend_and_sum(queries, keys, values)[0])
    assert lengths == [tokens // 4 * 4]


def test_a_kernel_is_tried_before_it_is_taken():
    sizes = GroundingConfig(image_size=64, hidden_size=16, memory_size=4)
    right = partial(
        attention.attend_in_two, cells=sizes.places, maps=attend_and_sum,
        others=attend_and_sum,
    )  # fmt: skip

    def equal_widths_only(queries, keys, values):
        raise RuntimeError("no such kernel")

    def with_sums_to_base_two(queries, keys, values):
        found, log_sum = attend_and_sum(queries, keys, values)
        return found, log_sum / log(2)

    wrong = partial(right, maps=with_sums_to_base_two)
    tried = {
        name: attention_kernel._is_right(attend, torch.zeros(16), sizes)
        for name, attend in (("right", right), ("none", equal_widths_only), ("wrong", wrong))
    }
    assert tried == {"right": True, "none": False, "wrong": False}


def test_a_kernel_that_finds_no_memory_has_not_refused():
    def full(queries, keys, values):
        raise torch.OutOfMemoryError

    sizes = GroundingConfig(image_size=64, hidden_size=16, memory_size=4)
    with pytest.raises(torch.OutOfMemoryError):
        attention_kernel._is_right(full, torch.zeros(16), sizes)


def test_a_kernel_that_is_named_is_taken(usable):
    usable("FLASH_ATTENTION CUDNN_ATTENTION")
    assert choose_kernel(OnGpu(), "cudnn").name == "cuDNN"
    assert choose_kernel(OnGpu(), "flash").name == "flash"


def test_a_named_kernel_that_is_not_there_is_refused(monkeypatch, network):
    monkeypatch.setattr(attention_kernel, "_usable_on_gpu", lambda like: set())
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    with pytest.raises(InputError, match=r'"cudnn": .*width 256 on Some GPU; .*"auto"'):
        choose_kernel(OnGpu(), "cudnn")
    weights = network.memory_attention.layers[0].cross_attn_image.k_proj.bias
    with pytest.raises(InputError, match=r'attention = "flash": .* on a CPU'):
        choose_kernel(weights, "flash")


@pytest.mark.parametrize("module", attention_kernel.FA3_MODULES)
@pytest.mark.parametrize("returns_sums", [False, True])
def test_flash_attention_3_is_called_with_heads_behind_tokens(monkeypatch, module, returns_sums):
    def flash_attn_func(queries, keys, values):
        assert queries.shape == (3, 5, 1, 16)
        assert keys.shape == values.shape == (3, 9, 1, 16)
        found = attention.attend_fused(queries[:, :, 0], keys[:, :, 0], values[:, :, 0])
        return (found[:, :, None], None) if returns_sums else found[:, :, None]

    package = SimpleNamespace(flash_attn_func=flash_attn_func)
    monkeypatch.setattr(attention_kernel, "find_spec", lambda name: name == module or None)
    monkeypatch.setattr(attention_kernel, "import_module", {module: package}.__getitem__)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    kernel = choose_kernel(OnGpu(), "fa3")
    assert kernel.name == "FlashAttention-3"
    keys, values = random(3, 9, 16, seed=2), random(3, 9, 16, seed=3)
    exact = (random(1, 5, 16, seed=1) @ keys.mT / 4).softmax(-1) @ values
    assert_close(kernel.attend(random(1, 5, 16, seed=1), keys, values), exact)


def test_flash_attention_3_is_refused_where_it_cannot_run(monkeypatch, network):
    with pytest.raises(InputError, match=r"no module flash_attn_interface or .*pip install fa3"):
        choose_kernel(OnGpu(), "fa3")
    monkeypatch.setattr(attention_kernel, "find_spec", lambda name: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    with pytest.raises(InputError, match="needs a GPU of the Hopper kind"):
        choose_kernel(OnGpu(), "fa3")
    weights = network.memory_attention.layers[0].cross_attn_image.k_proj.bias
    with pytest.raises(InputError, match="float32 keys on cpu"):
        choose_kernel(weights, "fa3")


def test_a_gpu_without_a_fast_kernel_is_told(monkeypatch):
    monkeypatch.setattr(attention_kernel, "_usable_on_gpu", lambda like: set())
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    with pytest.warns(UserWarning, match="slow kernel 'math'.*width 256 on Some GPU"):
        assert choose_kernel(OnGpu()).name == "math"
