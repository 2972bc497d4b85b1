"""Memory is laid out once and written in place, and the frame sees what SAM 2 would show it."""

from functools import partial
from itertools import pairwise
from math import log
from types import SimpleNamespace
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from submission.errors import InputError
from submission.models.sam2 import attention, attention_kernel, memory_attention
from submission.models.sam2.approximation import Approximation
from submission.models.sam2.attention import attend_in_blocks
from submission.models.sam2.attention_kernel import AttentionKernel, Kernels
from submission.models.sam2.memory_attention import MemoryReader
from submission.models.sam2.network import GroundingNetwork, ImageFeatures
from submission.models.sam2.policy import TrackerPolicy
from submission.models.sam2.sizes import GroundingConfig
from submission.models.sam2.tracker import MAX_POINTERS, MAX_RECENT_MAPS, PROMPTED_SLOT, Tracker

PROMPTED = (0, 9, 20)
OBJECTS = 2
LENGTH = 30


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture
def network(sa2va) -> GroundingNetwork:
    return sa2va.network.grounding


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def features_of(network: GroundingNetwork, time: int) -> ImageFeatures:
    side = network.config.image_size
    return network.encode_images(random(1, 3, side, side, seed=time))[0]


class Recorded:
    """A tracker with a past of random maps and pointers, and the same past as plain tensors."""

    def __init__(self, network: GroundingNetwork, now: int, **settings: object) -> None:
        config = network.config
        side = config.feature_size
        self.network, self.now = network, now
        self.tracker = Tracker(network, TrackerPolicy(), frame_size=(120, 160), **settings)
        self.maps = {
            time: random(OBJECTS, config.memory_size, side, side, seed=time)
            for time in {*range(now), *PROMPTED}
        }
        self.pointers = {
            time: random(OBJECTS, config.hidden_size, seed=100 + time) for time in self.maps
        }
        for time, kept in self.maps.items():
            self.tracker.remember(time, kept, self.pointers[time], prompted=time in PROMPTED)

    def seen(self) -> Tensor:
        return self.tracker.condition(self.now, features_of(self.network, self.now))

    def seen_by_the_library(self) -> Tensor:
        """SAM 2's own memory attention, which projects all memory for this one frame."""
        network, now = self.network, self.now
        place = network.memory_position().flatten(2).permute(2, 0, 1)
        slots = {
            time: PROMPTED_SLOT if time in PROMPTED else now - time - 1
            for time in self.maps
            if time in PROMPTED or now - time <= MAX_RECENT_MAPS
        }
        shown = [time for time in PROMPTED if time <= now]
        shown += [t for t in self.maps if t not in PROMPTED and now - t < MAX_POINTERS]
        tokens = [
            part.reshape(OBJECTS, -1, place.shape[-1]).transpose(0, 1)
            for part in (self.pointers[time] for time in shown)
        ]
        positions = [place + network.maskmem_tpos_enc[slot] for slot in slots.values()]
        count = sum(map(len, tokens))
        image = features_of(network, now)
        found = network.memory_attention(
            curr=image.stride16.flatten(2).permute(2, 0, 1).expand(-1, OBJECTS, -1),
            curr_pos=network.position_of(image).flatten(2).permute(2, 0, 1),
            memory=torch.cat([self.maps[t].flatten(2).permute(2, 0, 1) for t in slots] + tokens),
            memory_pos=torch.cat([*positions, place.new_zeros(count, 1, place.shape[-1])]).expand(
                -1, OBJECTS, -1
            ),
            num_obj_ptr_tokens=count,
        )
        return found.permute(1, 2, 0).reshape(OBJECTS, -1, *image.stride16.shape[-2:])


FUSED = attention.attend_fused
WIDE = AttentionKernel("wide", False, FUSED, FUSED)
NARROW = AttentionKernel("narrow", True, FUSED, FUSED)
KERNELS = {
    "blocks": None, "sdpa": Kernels(WIDE, WIDE), "narrow sdpa": Kernels(NARROW, NARROW),
    "narrow for many": Kernels(WIDE, NARROW),
}  # fmt: skip


def choose_kernel(like, wanted="auto", objects=1):
    return attention_kernel.choose_kernels(like, GroundingConfig(), wanted).of(objects)


@pytest.mark.parametrize("now", [1, 7, 12, 18, 21, 28])
@pytest.mark.parametrize("kernels", KERNELS)
def test_a_frame_sees_what_the_library_would_show_it(network, now, kernels, monkeypatch):
    if (chosen := KERNELS[kernels]) is not None:
        monkeypatch.setattr(memory_attention, "choose_kernels", lambda *_: chosen)
    if kernels == "narrow for many":
        monkeypatch.setattr(attention_kernel, "CUDNN_FROM", OBJECTS)
    past = Recorded(network, now)
    assert_close(past.seen(), past.seen_by_the_library(), rtol=1e-4, atol=2e-5)


def test_a_map_at_a_wrong_time_is_noticed(network):
    """The negative control: one frame's shift in time is more than the tolerance above."""
    past = Recorded(network, 12)
    expected = past.seen_by_the_library()
    past.tracker.memory.recent_maps[11], past.tracker.memory.recent_maps[10] = (
        past.tracker.memory.recent_maps[10],
        past.tracker.memory.recent_maps[11],
    )
    with pytest.raises(AssertionError):
        assert_close(past.seen(), expected, rtol=1e-4, atol=2e-5)


def test_memory_stays_where_it_is_and_maps_are_projected_once(network):
    tracker = Tracker(network, TrackerPolicy(), frame_size=(120, 160))
    language = random(OBJECTS, network.config.hidden_size)
    with counted("project_keys") as keys, counted("project_values") as values:
        for time in PROMPTED:
            tracker.prompt(time, features_of(network, time), language)
        places = []
        for time in (t for t in range(LENGTH) if t not in PROMPTED):
            tracker.track(time, features_of(network, 0))
            places.append([block.data_ptr() for block in tracker._bank.keys])
    assert all(one == other for one, other in pairwise(places))
    assert keys.call_count == LENGTH
    assert values.call_count == LENGTH - 1  # nobody looks at what the last frame left


def counted(name: str):
    """Count the calls of a method of the reader."""
    method = getattr(MemoryReader, name)
    return patch.object(MemoryReader, name, autospec=True, side_effect=method)


@pytest.mark.parametrize("rough", [{}, {"memory_stride": 2}, {"nearest_prompts": 1}], ids=str)
def test_a_bank_that_was_used_for_long_shows_what_a_new_one_shows(network, rough):
    """Maps change their places where a prompted frame was passed; the order is of no account."""
    settings = {"approximation": Approximation(**rough)}
    whole = Recorded(network, LENGTH)
    tracker = Tracker(network, TrackerPolicy(), frame_size=(120, 160), **settings)
    image = features_of(network, 0)
    for time in PROMPTED:
        tracker.remember(time, whole.maps[time], whole.pointers[time], prompted=True)
    moved = 0
    for time in (t for t in range(LENGTH) if t not in PROMPTED):
        before = dict(tracker._bank._recent) if tracker._bank else {}
        used = tracker.condition(time, image)
        after = tracker._bank._recent
        moved += sum(after[t] != before[t] for t in before.keys() & after.keys())
        assert_close(used, Recorded(network, time, **settings).tracker.condition(time, image))
        tracker.memory.forget_before(time + 1)
        tracker.remember(time, whole.maps[time], whole.pointers[time], prompted=False)
    assert moved


def test_the_bytes_of_the_bank_are_what_its_description_says(network):
    past = Recorded(network, 18)
    past.seen()
    config = network.config
    maps = len(PROMPTED) + MAX_RECENT_MAPS
    ratio = config.hidden_size // config.memory_size
    tokens = maps * config.feature_size**2 + (len(PROMPTED) + MAX_POINTERS - 1) * ratio
    wide = config.memory_layers * config.hidden_size
    assert past.tracker._bank.num_bytes == 4 * OBJECTS * tokens * (wide + config.memory_size)


# --- kernels -------------------------------------------------------------------------------------
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
    ("words", "narrow", "name"),
    [("FLASH_ATTENTION CUDNN_ATTENTION", True, "flash"),
     ("EFFICIENT_ATTENTION", True, "memory-efficient"),
     ("EFFICIENT_ATTENTION CUDNN_ATTENTION", False, "cuDNN"),
     ("EFFICIENT_ATTENTION CUDNN_ATTENTION", True, "cuDNN with narrow values")],
)  # fmt: skip
def test_on_a_gpu_the_first_usable_kernel_is_taken(usable, words, narrow, name):
    usable(words, narrow=narrow)
    for objects in (1, 16):
        kernel = choose_kernel(OnGpu(), objects=objects)
        assert kernel.name == name
        assert kernel.is_narrow == ("narrow" in name)


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
