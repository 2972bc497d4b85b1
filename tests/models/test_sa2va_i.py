"""Sa2VA-i from its own checkpoint, and from a Sa2VA checkpoint beside the original SAM 2.0."""

from pathlib import Path

import numpy as np
import pytest
import torch
from models.checkpoints import (
    TINY,
    TINY_I,
    original_sam2,
    with_one_decoder,
)
from models.conftest import ANSWERS, SENTENCES
from safetensors.torch import save_file

from submission.errors import FaultyInput, InputError
from submission.models.sa2va.loading import load
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.settings import Settings

PROCEDURES = ("sa2va", "sa2va-i")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """The Sa2VA checkpoint from which tiny_internlm2_i was made: one decoder, the tuned one."""
    return with_one_decoder(tmp_path / "plain")


def answer_bits(model: Sa2VA, frames: np.ndarray, procedure: str) -> list[np.ndarray]:
    found = model.segment(
        frames, SENTENCES, Settings(procedure=procedure, frames=3), answers=ANSWERS
    )
    return [answer.masks.bits for answer in found]


def equal(ours: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(ours, others, strict=True))


@pytest.mark.parametrize("kind", ["pt", "bare pt", "safetensors", "folder"])
def test_sa2va_and_original_sam2_make_sa2va_i(plain, sa2va_i, frames, tmp_path, kind):
    path = tmp_path / ("sam2.safetensors" if kind == "safetensors" else "sam2_hiera_large.pt")
    if kind == "safetensors":
        save_file(original_sam2(), path)
    else:
        torch.save(original_sam2() if kind == "bare pt" else {"model": original_sam2()}, path)
    model = load(plain, "cpu", "float32", sam2=tmp_path if kind == "folder" else path)
    expected = sa2va_i.network.state_dict()
    assert model.network.state_dict().keys() == expected.keys()
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, expected[name]), name
    if kind == "pt":
        for procedure in PROCEDURES:
            assert equal(
                answer_bits(model, frames, procedure), answer_bits(sa2va_i, frames, procedure)
            )


def test_procedure_sa2va_uses_the_tuned_decoder_throughout(plain, sa2va_i, frames):
    assert equal(
        answer_bits(load(plain, "cpu", "float32"), frames, "sa2va"),
        answer_bits(sa2va_i, frames, "sa2va"),
    )
    assert not equal(answer_bits(sa2va_i, frames, "sa2va"), answer_bits(sa2va_i, frames, "sa2va-i"))


def test_sa2va_alone_cannot_do_sa2va_i(plain, frames):
    with pytest.raises(InputError, match=r"second mask decoder.*SAM 2\.0 large"):
        answer_bits(load(plain, "cpu", "float32"), frames, "sa2va-i")


def test_a_sa2va_i_checkpoint_takes_no_other_decoder(tmp_path):
    torch.save({"model": original_sam2()}, tmp_path / "sam2_hiera_large.pt")
    with pytest.raises(InputError, match="already holds"):
        load(TINY_I, "cpu", "float32", sam2=tmp_path)


@pytest.mark.parametrize("mark", ["no_obj_embed_spatial", "obj_ptr_tpos_proj.weight"])
def test_sam21_is_refused(plain, tmp_path, mark):
    path = tmp_path / "sam2.1_hiera_large.pt"
    torch.save({"model": original_sam2() | {mark: torch.zeros(1)}}, path)
    with pytest.raises(InputError, match=r"sam2\.1_hiera_large\.pt: these are SAM 2\.1"):
        load(plain, "cpu", "float32", sam2=path)


class NotWeights:
    """Something whose unpickling would run code."""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"model": {"image_encoder.x": torch.zeros(1)}}, r"no sam_mask_decoder\.\* in it"),
        ([torch.zeros(1)], r"no sam_mask_decoder\.\* in it"),
        ({"model": NotWeights()}, "cannot be opened as SAM 2 weights"),
    ],
    ids=["no decoder", "a list", "code"],
)
def test_files_that_are_not_sam2(plain, tmp_path, content, says):
    path = tmp_path / "sam2.pt"
    torch.save(content, path)
    with pytest.raises(InputError, match=says) as error:
        load(plain, "cpu", "float32", sam2=path)
    assert str(path) in str(error.value)


def test_a_decoder_of_another_size_is_refused_by_name(tmp_path):
    torch.save({"model": original_sam2()}, tmp_path / "sam2_hiera_large.pt")
    with pytest.raises(FaultyInput, match=r"transformer\.layers\.0\.mlp\.layers\.0\.weight"):
        load(TINY, "cpu", "float32", sam2=tmp_path)  # its SAM 2 is smaller


def test_a_missing_file_is_named(plain, tmp_path):
    with pytest.raises(InputError, match=r"sam2_hiera_large\.pt: no such file"):
        load(plain, "cpu", "float32", sam2=tmp_path)
