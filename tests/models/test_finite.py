"""Values that are no numbers stop a run and are named; which tensors take part in a mask at all."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from models.checkpoints import TINY, TINY_I
from torch import Tensor

from submission.errors import InputError
from submission.models.finite import FiniteOutputs, NotFinite, first_not_finite
from submission.models.sa2va.loading import load
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.settings import Settings

ASKED = "Sure, [SEG].<|im_end|>"
# Infinity in these tensors of the small checkpoint once changed no mask that was looked at.
TAKING_PART = (
    "grounding.sam_mask_decoder.conv_s0.weight",
    "grounding.sam_mask_decoder.conv_s0.bias",
    "grounding.sam_mask_decoder.conv_s1.weight",
    "grounding.sam_mask_decoder.iou_token.weight",
    "seg_projector.0.bias",  # text_hidden_fcs in the checkpoint
    "seg_projector.2.weight",
)


@pytest.fixture(scope="module")
def model() -> Sa2VA:
    """One that the tests may spoil: every test puts back what it changed."""
    return load(TINY, "cpu", "float32")


@contextmanager
def changed(model: Sa2VA, name: str, value: Tensor) -> Iterator[None]:
    parameter = model.network.get_parameter(name)
    before = parameter.detach().clone()
    with torch.inference_mode():
        parameter.copy_(value)
    yield
    with torch.inference_mode():
        parameter.copy_(before)


def mask_logits(model: Sa2VA, clip: np.ndarray, **settings: str) -> Tensor:
    """The logits (T, 1, 4S, 4S) of one sentence with a forced answer."""
    seen: list[Tensor] = []
    enlarge = Sa2VA.upsample

    def keep(logits: Tensor, size: tuple[int, int]) -> Tensor:
        seen.append(logits.clone())
        return enlarge(model, logits, size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "upsample", keep)
        model.segment(clip[:2], ["the red square"], Settings(frames=1, **settings), answers=[ASKED])
    return torch.cat(seen)


@pytest.mark.parametrize("name", TAKING_PART)
def test_a_tensor_that_takes_part_changes_logits_and_is_named_when_it_is_infinite(
    model, frames, name
):
    value = model.network.get_parameter(name).detach().clone()
    noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(0))
    plain = mask_logits(model, frames)
    with changed(model, name, value + 0.3 * noise):
        assert (mask_logits(model, frames) - plain).abs().max() > 1e-3
    value.view(-1)[0] = float("inf")
    module = name.rpartition(".")[0].replace("iou_token", "transformer.layers.0.self_attn.q_proj")
    with (
        changed(model, name, value),
        pytest.raises(InputError, match=rf"in torch\.float32, the output of {module} .*is NaN or"),
    ):
        mask_logits(model, frames)
    assert torch.equal(mask_logits(model, frames), plain)


def test_the_original_decoder_of_a_sa2va_i_checkpoint_is_not_read_by_the_procedure_sa2va(frames):
    model = load(TINY_I, "cpu", "float32")
    name = "grounding.sam_mask_decoder.conv_s0.weight"
    plain = {one: mask_logits(model, frames, procedure=one) for one in ("sa2va", "sa2va-i")}
    with changed(model, name, 2 * model.network.get_parameter(name)):
        assert torch.equal(mask_logits(model, frames, procedure="sa2va"), plain["sa2va"])
        assert not torch.equal(mask_logits(model, frames, procedure="sa2va-i"), plain["sa2va-i"])


@pytest.mark.parametrize("layer", ["language.model.layers.0.mlp.down_proj", "language.lm_head"])
def test_a_language_model_that_overflows_does_not_repeat_one_token_to_its_limit(
    model, frames, layer
):
    weight = model.network.get_parameter(f"{layer}.weight").detach() * 1e38
    with (
        changed(model, f"{layer}.weight", weight),
        pytest.raises(InputError, match=rf'{layer} \(Linear\) is NaN or infinite.*"float32"'),
    ):
        model.segment(frames[:1], ["the red square"], Settings(max_new_tokens=50))


def test_outputs_are_looked_at_once_and_told_at_last():
    finite = FiniteOutputs()
    finite.refuse("nothing was looked at")
    finite.look(torch.ones(3))
    finite.look(torch.tensor([1.0, float("-inf")]))
    with pytest.raises(NotFinite, match="a logit"):
        finite.refuse("a logit")


def test_the_module_that_only_passes_it_on_says_so():
    network = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(1, 1))
    spoilt = torch.tensor([float("nan")])
    assert first_not_finite(network, lambda: network(spoilt)) == (
        "the output of 0 (Identity), and so is what it reads"
    )
    assert first_not_finite(network, lambda: network(torch.ones(1))) == ""
    assert not network[0]._forward_hooks
