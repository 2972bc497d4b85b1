"""No tensor of the host meets one of a GPU, and no precision another: whole models, without one."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from models.cases import REFERENCE
from models.plain_qwenvl import write_plain
from models.pretended_gpu import GPU, move, pretended_gpu
from models.uninext_cases import TINY, TINY_BACKBONES
from torch.nn.attention import SDPBackend

from submission.models import mask_packing
from submission.models.sa2va.fused_norms import fuse_norms
from submission.models.sa2va.grouped_heads import group_heads
from submission.models.sa2va.loading import load
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.qwenvl.judge import load_judge
from submission.models.sa2va.settings import CELL, Settings
from submission.models.sam2 import image_features, memory_attention
from submission.models.sam2.attention import (
    AttentionKernel,
    attend_in_two,
    for_any_number,
    only,
    sum_by_cudnn,
    sum_by_efficient,
)
from submission.models.uninext.model import Uninext
from submission.models.uninext.network import lay_out_network
from submission.models.workload import Limits
from submission.video.frame_loader import FrameLoader

ANSWERS = ["Sure, [SEG].<|im_end|>"] * 3


class Nothing:
    """No second stream."""

    is_there = False

    def __init__(self, device: torch.device) -> None:
        pass

    def join(self, made) -> None:
        pass


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Kernels as a Hopper has them, of which only the choice needs one."""

    def choose(like, sizes, wanted="auto"):
        narrow = partial(
            attend_in_two, cells=sizes.places, maps=sum_by_cudnn, others=sum_by_efficient
        )
        flash = only(SDPBackend.FLASH_ATTENTION)
        return for_any_number(AttentionKernel("cuDNN with narrow values", True, narrow, flash))

    monkeypatch.setattr(memory_attention, "choose_kernels", choose)
    monkeypatch.setattr(image_features, "Beside", Nothing)


def segment(frames, procedure: str, quantize: str = "none") -> int:
    name = {"sa2va": "tiny_qwen2", "sa2va-i": "tiny_internlm2_i"}[procedure]
    backbone = load(REFERENCE / "models" / name, "cpu", "float32", quantize=quantize).backbone
    fuse_norms(backbone.network)
    group_heads(backbone.language)
    settings = Settings(procedure=procedure, frames=2, ask=True)
    backbone.device, backbone.dtype = GPU, torch.bfloat16
    # Two groups of objects, between which features wait in host memory.
    memory = SimpleNamespace(total_memory=1)
    with pretended_gpu(get_device_properties=lambda _: memory):
        move(backbone.network, lambda name, value: torch.bfloat16)
        for module in backbone.network.modules():
            if "scale" in module._buffers:  # of a layer in int8
                module.scale = module.scale.to(torch.bfloat16)
        model = Sa2VA(backbone, Limits(objects_at_once=2, sentences_at_once=2, images_at_once=2))
        return len(model.segment(frames[:4], ["a", "b", "c"], settings, answers=ANSWERS))


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize(("procedure", "quantize"), [("sa2va", "int8"), ("sa2va-i", "none")])
def test_sa2va(frames, procedure, quantize):
    assert segment(frames, procedure, quantize) == 3


@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_tensor_that_stayed_on_the_host_is_noticed(frames, monkeypatch):
    def careless(masks):
        return masks.to(torch.uint8) << torch.arange(masks.shape[-1], dtype=torch.uint8)

    monkeypatch.setattr(mask_packing, "add_up_bits", careless)
    # As torch 2.13 says it, and 2.10 of requirements/cuda12.txt.
    with pytest.raises(RuntimeError, match=r"two (different )?devices,? cuda:0"):
        segment(frames, "sa2va")


@pytest.mark.parametrize("family", ["qwen3", "qwen2_5"])
def test_a_judge(tmp_path, family):
    write_plain(tmp_path / "plain", family)
    judge = load_judge(tmp_path / "plain", "cpu", "float32")
    judge.reader.device, judge.reader.dtype = GPU, torch.bfloat16
    clip = np.zeros((3, 60, 100, 3), np.uint8)
    few = Settings(min_pixels=4 * CELL, max_pixels=16 * CELL)
    with ThreadPoolExecutor(1) as pool, pretended_gpu():
        move(judge.reader.network, lambda name, value: torch.bfloat16)
        loader = FrameLoader(clip.__getitem__, clip.shape[:3], pool)
        assert len(judge.odds(judge.watch(loader, (0, 2), few), ["is it?", "does it?"])) == 2


@pytest.mark.parametrize("backbone", TINY_BACKBONES)
def test_uninext(backbone):
    network = lay_out_network(replace(TINY, backbone=TINY_BACKBONES[backbone]))
    with pretended_gpu():
        move(network, lambda name, value: torch.bfloat16 if "backbone." in name else torch.float32)
        model = Uninext(network, None, GPU, sentences_at_once=1)
        image = model.encode_image(np.zeros((120, 160, 3), np.uint8))
        sentences = model.read_ids([[2, 5, 6, 3], [2, 7, 3]])
        assert len(model.detect(image, sentences, (60, 80))) == 2
