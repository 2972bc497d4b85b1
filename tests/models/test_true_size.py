"""Sa2VA-1B at its true size with random weights: one clip from frames to masks on a CPU."""

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from models.checkpoints import TINY
from models.released import config_json
from models.trace import hooked
from torch import Tensor, nn

from submission.models.sa2va.internvl.backbone import Backbone
from submission.models.sa2va.internvl.config import parse_config
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.network import lay_out
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.tokenizer import load_tokenizer

FRAMES, HEIGHT, WIDTH = 3, 480, 854


@pytest.mark.slow
def test_one_clip_through_the_1b_size(one_thread):
    """Three frames, two of them key frames, one sentence: a minute on two cores, 4 GB of memory."""
    torch.set_num_threads(os.cpu_count() or 1)
    with timed("laying out and filling"):
        model = random_model("Sa2VA-1B")
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    sizes: dict[str, list[int]] = {}
    with timed("frames to masks"), watched(model, sizes):
        answer = model.segment(
            frames, ["the red square"], Settings(frames=2), answers=["Sure, [SEG].<|im_end|>"]
        )[0]
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")

    assert answer.num_seg == 1
    assert answer.masks.shape == (FRAMES, HEIGHT, WIDTH)
    assert 0 < np.asarray(answer.masks).mean() < 1
    assert sizes["vision encoder"] == [2, 1 + 32 * 32, 1024]
    assert sizes["visual tokens"] == [2, 256, 896]
    assert sizes["language embedding"] == [1, 256]
    assert sizes["image encoder"] == [1, 256, 64, 64]
    assert sizes["memory attention"] == [1, 64 * 64, 256]
    assert sizes["memory encoder"] == [1, 64, 64, 64]


def random_model(name: str) -> Sa2VA:
    """A released size, filled with random bfloat16 values instead of a 2 GB file."""
    config = parse_config(config_json(name), has_tuned_decoder=False)
    network = lay_out(config)
    torch.manual_seed(0)
    values = {key: draw(key, value) for key, value in network.state_dict().items()}
    network.load_state_dict(values, strict=True, assign=True)
    tokenizer = load_tokenizer(TINY)  # its ids are a part of the large vocabulary
    return Sa2VA(Backbone(network, config, tokenizer, torch.device("cpu"), torch.bfloat16))


def draw(key: str, laid_out: Tensor) -> Tensor:
    """Values that keep activations finite through many layers; tables stay float32."""
    if laid_out.device.type != "meta":
        return torch.randn(laid_out.shape)  # a buffer: SAM 2's random position table
    if laid_out.ndim == 1:
        ones = key.endswith("weight")
        return torch.full(laid_out.shape, float(ones), dtype=torch.bfloat16)
    fan_in = laid_out[0].numel()
    return torch.empty(laid_out.shape, dtype=torch.bfloat16).normal_(std=fan_in**-0.5)


@contextmanager
def timed(what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - start:.1f} s")


@contextmanager
def watched(model: Sa2VA, sizes: dict[str, list[int]]) -> Iterator[None]:
    """Note the shape of what leaves each organ, its seconds, and that every value is finite."""
    network = model.network
    organs: dict[str, nn.Module] = {
        "vision encoder": network.vision.encoder,
        "visual tokens": network.vision.projector,
        "language model": network.language.model,
        "language embedding": network.seg_projector,
        "image encoder": network.grounding.image_encoder,
        "memory attention": network.grounding.memory_attention.norm,
        "memory encoder": network.grounding.memory_encoder,
        "mask decoder": network.grounding.sam_mask_decoder,
    }
    names = {module: name for name, module in organs.items()}
    started: dict[str, float] = {}
    spent = dict.fromkeys(organs, 0.0)

    def begin(module: nn.Module, _: object) -> None:
        started[names[module]] = time.perf_counter()

    def end(module: nn.Module, _: object, output: object) -> None:
        name = names[module]
        spent[name] += time.perf_counter() - started[name]
        values = first_tensor(output)
        assert torch.isfinite(values).all(), name
        sizes[name] = list(values.shape)

    before = [module.register_forward_pre_hook(begin) for module in names]
    try:
        with hooked(dict.fromkeys(names, end)):
            yield
    finally:
        for handle in before:
            handle.remove()
    print("\n".join(f"{name}: {seconds:.1f} s" for name, seconds in spent.items()))


def first_tensor(output: object) -> Tensor:
    """The main result of an organ, whatever its library wraps around it."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, tuple):
        return first_tensor(output[0])
    if "last_hidden_state" in output:
        return output["last_hidden_state"]
    return output["vision_features"]
