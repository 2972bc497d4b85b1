"""The language model in eight bits: how far weights and outputs are off, and what stays whole."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from models.checkpoints import TINY, TINY_I, copy_checkpoint, shard
from models.conftest import ANSWERS, SENTENCES
from torch import nn

from submission.dataset.frames import open_frames
from submission.dataset.mevis import read_split
from submission.errors import InputError
from submission.models.quantized import LARGEST, VALUES_AT_ONCE, Int8Linear, quantize
from submission.models.sa2va.loading import load
from submission.recipes.find import PACKAGED

SAMPLES = PACKAGED.parent / "samples"
HALF = 0.5 + 1e-5  # of a step: dividing in float32 moves a tie


def drawn(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(0)).to(dtype)


def steps_off(weight: torch.Tensor, values: torch.Tensor, scale: torch.Tensor) -> float:
    """The largest distance from a weight to what is kept of it, in steps of its row."""
    step = scale.double()
    return float(((weight.double() - values.double() * step).abs() / step).max())


# --- weights -------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_weight_is_kept_within_half_a_step(dtype):
    weight = drawn(40, 64, dtype) * torch.logspace(-30, 3, 40, dtype=dtype)[:, None]
    before = weight.clone()
    values, scale = quantize(weight)
    assert (values.dtype, scale.dtype, scale.shape) == (torch.int8, dtype, (40, 1))
    assert steps_off(weight, values, scale) <= HALF
    assert steps_off(weight, values + 1, scale) > HALF  # the negative control
    assert (values.abs().amax(dim=1) == LARGEST).all()
    assert torch.equal(weight, before)


def test_rounding_can_be_checked_by_hand():
    values, scale = quantize(torch.tensor([[127.0, 0.5, 1.5, -2.5, -126.6], [0, 0, 0, 0, 0]]))
    assert scale.tolist() == [[1], [1]]
    assert values.tolist() == [[127, 0, 2, -2, -127], [0, 0, 0, 0, 0]]


def test_blocks_of_rows_are_rounded_as_each_row_alone():
    weight = drawn(5, VALUES_AT_ONCE // 2)
    values, scale = quantize(weight)
    for row in range(5):
        one, step = quantize(weight[row : row + 1])
        assert torch.equal(one[0], values[row])
        assert torch.equal(step[0], scale[row])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_stays_noticed(bad):
    weight = drawn(3, 8)
    weight[1, 2] = bad
    values, scale = quantize(weight)
    assert (values * scale).isfinite().all(dim=1).tolist() == [True, False, True]


# --- a layer -------------------------------------------------------------------------------------
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_is_off_by_half_a_step_for_each_input_at_most(bias):
    linear = nn.Linear(64, 48, bias=bias).requires_grad_(False)
    layer, states = Int8Linear(linear), drawn(7, 64)
    layer.take(linear.weight)
    found, true = layer(states), linear(states)
    bound = HALF * states.abs().sum(dim=1, keepdim=True) * layer.scale.T
    assert ((found - true).abs() <= bound + 1e-5).all()
    assert not torch.equal(found, true)
    exact = F.linear(states, layer.weight.float() * layer.scale, linear.bias)
    assert torch.equal(found, exact)


def test_a_layer_keeps_the_precision_of_the_model():
    linear = nn.Linear(16, 4, dtype=torch.bfloat16).requires_grad_(False)
    layer = Int8Linear(linear)
    layer.take(linear.weight)
    assert layer(drawn(2, 16, torch.bfloat16)).dtype == torch.bfloat16


# --- a checkpoint --------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("source", [TINY, TINY_I], ids=lambda path: path.name)
def test_only_matrices_of_the_language_models_layers_are_rounded(source, dtype):
    whole, small = (load(source, "cpu", dtype, quantize=how).network for how in ("none", "int8"))
    layers = {f"{n}.weight": m for n, m in small.named_modules() if isinstance(m, Int8Linear)}
    depth = len(small.language.model.layers)
    assert len(layers) == 7 * depth
    assert all(name.startswith("language.model.layers.") for name in layers)
    kept = small.state_dict()
    for name, value in whole.state_dict().items():
        if name in layers:
            assert steps_off(value, kept[name], layers[name].scale) <= HALF
        else:
            assert torch.equal(value, kept[name]), name


def test_without_being_asked_nothing_is_rounded(frames):
    models = [load(TINY, "cpu", "float32"), load(TINY, "cpu", "float32", quantize="none")]
    models.append(load(TINY, "cpu", "float32", quantize="int8"))
    assert not any(
        isinstance(m, Int8Linear) for model in models[:2] for m in model.network.modules()
    )
    default, none, int8 = (
        np.stack([a.masks.bits for a in model.segment(frames, SENTENCES, answers=ANSWERS)])
        for model in models
    )
    assert np.array_equal(default, none)
    assert not np.array_equal(default, int8)


def test_an_unknown_word():
    with pytest.raises(InputError, match="quantize is 'int4'; known: none, int8"):
        load(TINY, "cpu", "float32", quantize="int4")


def test_the_sample_is_answered_with_the_same_texts():
    split = read_split(SAMPLES / "mevis", "valid_u")
    video = split.videos[0]
    pictures = open_frames(split).read(video)[::7]  # key frames alone
    sentences = [expression.sentence for expression in video.expressions]
    whole, small = (
        load(SAMPLES / "small-5", "cpu", "float32", quantize=how).segment(pictures, sentences)
        for how in ("none", "int8")
    )
    assert [answer.text for answer in whole] == [answer.text for answer in small]
    assert any("[SEG]" in answer.text for answer in whole)


# --- memory --------------------------------------------------------------------------------------
MEASURE = """
import sys
from pathlib import Path
from submission.models.sa2va.loading import load

def kilobytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

load(sys.argv[1], "cpu", "float32", quantize="int8")
before = kilobytes("VmRSS")
values = list(load(sys.argv[2], "cpu", "float32", quantize="int8").network.parameters())
held, whole = sum(p.nbytes for p in values), sum(4 * p.numel() for p in values)
print(kilobytes("VmHWM") - before, held // 1024, whole // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_peak_memory_is_the_model_in_eight_bits_and_at_most_one_shard(tmp_path):
    wide = 120_000
    layer = "language_model.model.layers.{}.mlp.{}_proj.weight"

    def widen(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        llm = config["llm_config"]
        llm["intermediate_size"] = wide
        for number in range(llm["num_hidden_layers"]):
            for part in ("gate", "up"):
                tensors[layer.format(number, part)] = torch.ones(wide, llm["hidden_size"])
            tensors[layer.format(number, "down")] = torch.ones(llm["hidden_size"], wide)

    folder = copy_checkpoint(TINY, tmp_path / "wide", widen)
    shard(folder, 8)
    largest = max(path.stat().st_size for path in folder.glob("*.safetensors")) // 1024
    command = [sys.executable, "-c", MEASURE, str(TINY), str(folder)]
    peak, size, whole = map(int, subprocess.check_output(command, text=True).split())
    other = 80_000  # kilobytes: a block of rows in float32, and what Python and malloc hold
    assert size < 0.3 * whole
    assert size < peak < size + largest + other < whole
