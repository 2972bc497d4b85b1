"""Small checkpoints and one short video for the tests of the model."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from models.cases import REFERENCE
from models.recorded import load_once

from submission.models.sa2va.model import Sa2VA

SENTENCES = ("the red square", "the disc that stops", "which one turns?")
ANSWERS = ("Sure, [SEG].<|im_end|>", "It is [SEG].<|im_end|>", "[SEG] and more.<|im_end|>")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let every test compute with one thread, so that its numbers do not depend on the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def without_gradients() -> Iterator[None]:
    """Let a test compute as a run does; a file asks for it by `pytestmark`."""
    with torch.inference_mode():
        yield


@pytest.fixture
def sa2va() -> Sa2VA:
    """A tiny Sa2VA: InternViT with RMSNorm, Qwen2, one mask decoder."""
    return load_once(REFERENCE / "models" / "tiny_qwen2")


@pytest.fixture
def sa2va_i() -> Sa2VA:
    """A tiny Sa2VA-i: InternViT with LayerNorm, InternLM2, two mask decoders."""
    return load_once(REFERENCE / "models" / "tiny_internlm2_i")


@pytest.fixture
def frames() -> np.ndarray:
    """The recorded video, uint8 RGB (8, 120, 160, 3)."""
    with np.load(REFERENCE / "frames.npz") as content:
        return content["frames"]
