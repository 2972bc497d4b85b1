"""RMS norms in one call: those of the library up to rounding, and none is left out."""

import gc
import weakref

import pytest
import torch
from models.cases import CASES, REFERENCE, assert_same_masks
from models.conftest import ANSWERS, SENTENCES
from transformers.models.internvl.modeling_internvl import InternVLVisionRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from submission.models.sa2va.fused_norms import fuse_norms
from submission.models.sa2va.loading import load


@pytest.mark.parametrize("kind", [Qwen2RMSNorm, InternVLVisionRMSNorm])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_fused_norm_is_no_further_from_the_truth_than_the_library(kind, dtype):
    generator = torch.Generator().manual_seed(0)
    states = 3 * torch.randn(4, 50, 64, generator=generator)
    norm = kind(64, eps=1e-5)
    norm.weight.data = 1 + 0.2 * torch.randn(64, generator=generator)
    norm, states = norm.to(dtype).requires_grad_(False), states.to(dtype)
    wide = states.double()
    exact = wide * (wide.pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt() * norm.weight.double()
    library = (norm(states).double() - exact).norm() / exact.norm()
    assert fuse_norms(norm) == 1
    found = norm(states)
    assert found.dtype == dtype
    fused = (found.double() - exact).norm() / exact.norm()
    assert fused <= 1.01 * library + 1e-7
    norm.weight.mul_(2)  # the negative control: it reads weights as they are now
    assert (norm(states).double() - exact).norm() / exact.norm() > 0.9


@pytest.mark.parametrize("checkpoint", ["tiny_qwen2", "tiny_internlm2_i"])
def test_masks_stay_with_fused_norms(checkpoint, frames):
    plain, fused = (load(REFERENCE / "models" / checkpoint) for _ in range(2))
    wanted = sum("rms" in type(one).__name__.lower() for one in plain.network.modules())
    assert fuse_norms(fused.network) == wanted > 4
    assert fuse_norms(fused.network) == 0
    answers = (model.segment(frames, SENTENCES, answers=ANSWERS) for model in (plain, fused))
    for one, other in zip(*answers, strict=True):
        assert_same_masks(other.masks, one.masks)
    network = weakref.ref(fused.network)
    gc.disable()
    try:
        del fused, answers, one, other
        assert network() is None
    finally:
        gc.enable()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
def test_on_a_gpu_norms_are_fused_when_a_model_is_loaded():
    case = next(case for name, case in CASES.items() if name.startswith("small"))
    kinds = {type(one).__name__ for one in load(case.model_folder, "cuda").network.modules()}
    assert any(name.startswith("Fused") for name in kinds)
    assert not any(name.endswith("RMSNorm") for name in kinds)
