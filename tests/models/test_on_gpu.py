"""What only a GPU can show: `make test ARGS="-m gpu"` on a machine that has one.

MEVIS_GPU_TESTS=cpu runs these tests on the CPU, which proves the tests and nothing else.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from models.cases import CASES, Case, assert_same_masks
from models.conftest import ANSWERS, SENTENCES
from models.test_fixed_parts import StandIn
from sam2.modeling.backbones.hieradet import Hiera
from sam2.modeling.sam2_utils import LayerNorm2d

from submission.errors import InputError
from submission.files.user_cache import cache_folder
from submission.models.mask_packing import MaskStack
from submission.models.sa2va.loading import load
from submission.models.sa2va.model import Sa2VA
from submission.models.sam2 import attention_kernel, kernel_timing
from submission.models.sam2.attention_kernel import choose_kernels
from submission.models.sam2.fast_layers import DecoderNorm, linear_and_relu
from submission.models.sam2.fixed_parts import CudaGraphs, FixedParts, fixed_parts
from submission.models.sam2.image_features import FrameFeatures, Keeping
from submission.models.sam2.sizes import GroundingConfig, HieraConfig
from submission.models.sam2.windowed_trunk import QuickHiera
from submission.models.workload import Limits
from submission.video.frame_loader import FrameLoader

DEVICE = os.environ.get("MEVIS_GPU_TESTS", "cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        DEVICE == "cuda" and not torch.cuda.is_available(), reason="no GPU that torch can use"
    ),
]
SMALL = [name for name in CASES if name.startswith("small")]
MASKS = [name for name in CASES if "final_masks" in CASES[name].stages]
WIDTH, NARROW = 256, 64  # of keys of memory attention at the released size, and of a memory map


@cache
def on_device(case: Case, dtype: str = "float32") -> Sa2VA:
    return load(case.model_folder, DEVICE, dtype)


def answer(model: Sa2VA, case: Case) -> np.ndarray:
    (found,) = model.segment(
        case.frames, [case.sentence], replace(case.settings, seg="first"),
        answers=[case.record["forced_answer"]],
    )  # fmt: skip
    return np.asarray(found.masks)


@pytest.mark.parametrize("name", MASKS)
def test_masks_are_those_of_the_reference(name):
    case = CASES[name]
    recorded = case.recorded["final_masks"][0].bool().numpy()
    assert_same_masks(answer(on_device(case), case), recorded)


@pytest.mark.parametrize("name", SMALL)
def test_bfloat16_runs_through(name):
    case = CASES[name]
    assert answer(on_device(case, "bfloat16"), case).shape == case.frames.shape[:3]


def test_one_call_twice_gives_the_same_bytes(frames):
    model = on_device(CASES[SMALL[0]])
    first, second = (model.segment(frames, SENTENCES, answers=ANSWERS) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.masks, other.masks)


@pytest.mark.parametrize("name", SMALL)
def test_recorded_parts_give_the_same_bytes(name, frames):
    model = on_device(CASES[name], "float32" if DEVICE == "cpu" else "bfloat16")
    settings = CASES[name].settings
    parts = fixed_parts("parts", model.device) if DEVICE != "cpu" else FixedParts(StandIn())
    recorded = Sa2VA(model.backbone, model.limits, parts)
    for count in (3, 1, 3, 2, 1):
        one, other = (
            each.segment(frames, SENTENCES[:count], settings, answers=ANSWERS[:count])
            for each in (model, recorded)
        )
        assert any(np.asarray(answer.masks).any() for answer in one)
        for wanted, found in zip(one, other, strict=True):
            assert np.array_equal(wanted.masks, found.masks)
    assert parts.words == "parts: CUDA graphs"  # nothing was refused
    assert len(parts._recorded) > 5


def test_recordings_that_make_room_for_others_leave_the_same_bytes(frames, monkeypatch):
    monkeypatch.setattr("submission.models.sam2.fixed_parts.MOST", 4)
    case = CASES[SMALL[0]]
    model = on_device(case, "float32" if DEVICE == "cpu" else "bfloat16")
    parts = fixed_parts("parts", model.device) if DEVICE != "cpu" else FixedParts(StandIn())
    recorded = Sa2VA(model.backbone, model.limits, parts)
    for count in (3, 1, 2, 3):
        one, other = (
            each.segment(frames, SENTENCES[:count], case.settings, answers=ANSWERS[:count])
            for each in (model, recorded)
        )
        for wanted, found in zip(one, other, strict=True):
            assert np.array_equal(wanted.masks, found.masks)
    assert parts.words == "parts: CUDA graphs"


@pytest.mark.parametrize("name", SMALL)
def test_a_call_after_one_that_found_no_memory_gives_the_same_bytes(name, frames, monkeypatch):
    model, settings = on_device(CASES[name]), CASES[name].settings
    parts = fixed_parts("parts", model.device) if DEVICE != "cpu" else FixedParts(StandIn())
    recorded = Sa2VA(model.backbone, Limits(images_at_once=2), parts)
    wanted = recorded.segment(frames, SENTENCES, settings, answers=ANSWERS)
    encode = FrameFeatures._levels

    def launched_and_full(self, group):
        encode(self, group)
        raise torch.OutOfMemoryError

    with monkeypatch.context() as patch:
        patch.setattr(FrameFeatures, "_levels", launched_and_full)
        with pytest.raises(torch.OutOfMemoryError):
            recorded.segment(frames, SENTENCES, settings, answers=ANSWERS)
    parts.forget()  # as whoever goes on with less does
    found = recorded.segment(frames, SENTENCES, settings, answers=ANSWERS)
    assert any(np.asarray(answer.masks).any() for answer in wanted)
    for one, other in zip(wanted, found, strict=True):
        assert np.array_equal(one.masks, other.masks)


@pytest.mark.skipif(DEVICE != "cuda", reason="CUDA graphs")
def test_what_a_graph_cannot_hold_is_told_and_leaves_the_stream_as_it_was():
    before = torch.cuda.current_stream()
    parts = FixedParts(CudaGraphs(torch.device("cuda")))

    def waits(values: torch.Tensor) -> torch.Tensor:
        return values * float(values.sum())

    values = torch.ones(3, device="cuda")
    parts.run(waits, values)
    with pytest.warns(UserWarning, match="run as they are called from here on: waits: "):
        assert torch.equal(parts.run(waits, values), 3 * values)
    assert torch.cuda.current_stream() == before
    assert torch.rand(3, device="cuda").isfinite().all()  # random numbers are to be had again


@pytest.mark.skipif(DEVICE != "cuda", reason="CUDA graphs")
def test_after_a_recording_that_failed_memory_of_a_second_stream_is_free_again():
    parts, large = FixedParts(CudaGraphs(torch.device("cuda"))), (64, 1 << 20)
    parts.run(torch.Tensor.tolist, torch.ones(3, device="cuda"))
    with pytest.warns(UserWarning, match="run as they are called from here on"):
        parts.run(torch.Tensor.tolist, torch.ones(3, device="cuda"))
    torch.cuda.synchronize()
    before, second = torch.cuda.memory_allocated(), torch.cuda.Stream()
    for _ in range(3):
        with torch.cuda.stream(second):
            made = torch.ones(large, device="cuda", dtype=torch.uint8)
        torch.cuda.current_stream().wait_stream(second)
        made.record_stream(torch.cuda.current_stream())
        del made
        torch.cuda.synchronize()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_allocated() == before


@pytest.mark.skipif(DEVICE != "cuda", reason="CUDA graphs")
def test_a_recording_that_failed_gives_the_memory_of_all_recordings_back():
    parts, large = FixedParts(CudaGraphs(torch.device("cuda"))), torch.ones(1 << 26, device="cuda")

    def doubles(values: torch.Tensor) -> torch.Tensor:
        return (values + values).sum()

    for _ in range(2):
        parts.run(doubles, large)
    torch.cuda.empty_cache()
    recorded = torch.cuda.memory_reserved()
    parts.run(torch.Tensor.tolist, torch.ones(3, device="cuda"))
    with pytest.warns(UserWarning, match="run as they are called from here on"):
        parts.run(torch.Tensor.tolist, torch.ones(3, device="cuda"))
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() <= recorded - 2 * large.nbytes  # its input, and the sum


def test_bits_are_those_of_numpy():
    logits = torch.randn(3, 1, 20, 37, device=DEVICE)
    stack = MaskStack(3, (2, 20, 37))
    for time in (1, 0):
        stack.draw(time, logits + time)
    for number, drawn in enumerate(stack.masks()):
        assert np.array_equal(drawn[0], (logits[number, 0] > 0).cpu().numpy())
        assert np.array_equal(drawn[1], (logits[number, 0] + 1 > 0).cpu().numpy())


def test_features_in_host_memory_give_the_masks_of_those_on_the_gpu(frames, monkeypatch):
    model = on_device(CASES[SMALL[0]])
    model = Sa2VA(model.backbone, Limits(objects_at_once=1, images_at_once=1))
    found, strides = [], set()
    for share in (1, 0):  # of the GPU's memory that features may take: all, or nothing
        monkeypatch.setattr("submission.models.workload.GPU_SHARE", share)
        with ThreadPoolExecutor(2) as pool:
            loader = FrameLoader(frames.__getitem__, frames.shape[:3], pool)
            watched = model.watch(loader, Keeping(shared=True))
            found.append(model.segment(watched, SENTENCES, answers=ANSWERS))
        assert watched.encoded == len(frames)
        places = {one.stride16.device.type for one in watched._kept.values()}
        assert places == {DEVICE if share == 1 else "cpu"}
        assert len({one.stride16.stride() for one in watched._kept.values()}) == 1
        strides.add(next(iter(watched._kept.values())).stride16.stride())
    assert len(strides) == 1
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one.masks, other.masks)


@pytest.mark.skipif(DEVICE != "cuda", reason="kernels of a GPU")
@pytest.mark.parametrize("wanted", ["auto", "flash", "cudnn", "fa3"])
@pytest.mark.parametrize("queried", ["one query for all", "own queries"])
@pytest.mark.parametrize("objects", [2, 6])
def test_kernels_of_the_released_width_agree(wanted, objects, queried):
    generator = torch.Generator("cuda").manual_seed(0)
    own = objects if queried == "own queries" else 1
    queries, keys, wide = (
        torch.randn(batch, count, WIDTH, generator=generator, device="cuda", dtype=torch.bfloat16)
        for batch, count in ((own, 256), (objects, 5000), (objects, 5000))
    )
    try:
        kernel = choose_kernels(keys, GroundingConfig(), wanted).of(objects)
    except InputError as refusal:
        pytest.skip(str(refusal))
    assert kernel.name != "math"
    narrow = wide[..., :NARROW].contiguous()
    asked = [(kernel.attend, narrow if kernel.is_narrow else wide), (kernel.within, wide)]
    for attend, values in asked:
        seen = keys[:, 37:4237], values[:, 37:4237]  # a view with gaps, as the memory bank gives it
        scores = queries.float() @ seen[0].float().mT / WIDTH**0.5
        exact = torch.softmax(scores, -1) @ seen[1].float()
        found = attend(queries, *seen).float()
        assert float((found - exact).norm() / exact.norm()) < 2e-2


@pytest.mark.parametrize(("precision", "near"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
def test_the_decoders_norm_is_the_librarys(precision, near):
    library = LayerNorm2d(64).to(DEVICE, precision)
    quick = DecoderNorm(64).to(DEVICE, precision)
    x = 3 + 2 * torch.randn(3, 64, 32, 32, device=DEVICE, dtype=precision)
    with torch.inference_mode():
        found, exact = quick(x).float(), library.float()(x.float())
    assert float((found - exact).norm() / exact.norm()) < near


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_relu_while_the_product_is_written(precision):
    linear = torch.nn.Linear(256, 2048).to(DEVICE, precision)
    x = torch.randn(2, 64, 256, device=DEVICE, dtype=precision)
    with torch.inference_mode():
        torch.testing.assert_close(linear_and_relu(linear, x), linear(x).relu_())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_trunk_in_windows_is_the_librarys(precision):
    sizes = {**vars(HieraConfig()), "stages": (2, 2, 3, 1), "global_att_blocks": (6,)}
    library = Hiera(**sizes).to(DEVICE, precision).eval()
    quick = QuickHiera(**sizes).to(DEVICE, precision).eval()
    quick.load_state_dict(library.state_dict())
    pixels = torch.randn(2, 3, 256, 256, device=DEVICE, dtype=precision)
    with torch.inference_mode():
        for found, exact in zip(quick(pixels), library(pixels), strict=True):
            near = 1e-5 if precision is torch.float32 else 2e-2
            assert float((found - exact).float().norm() / exact.float().norm()) < near


@pytest.mark.skipif(DEVICE != "cuda", reason="kernels of a GPU")
def test_kernels_are_timed_where_nobody_measured_them(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(attention_kernel, "HOPPER", 0)
    keys = torch.empty(WIDTH, dtype=torch.bfloat16, device="cuda")
    kernels = choose_kernels(keys, GroundingConfig())
    file = cache_folder() / kernel_timing.MEMORY
    if file.exists():  # there was more than one to choose from
        (times,) = json.loads(file.read_text()).values()
        print(kernels.name, times)
        assert {kernels.few.name, kernels.many.name} <= set(times["1"])
    monkeypatch.setattr(kernel_timing, "time_kernels", None)
    assert choose_kernels(keys, GroundingConfig()).name == kernels.name
