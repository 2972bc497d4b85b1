"""The two doors to a model: submission.models, and the old one for notebooks of today."""

import numpy as np
import pytest
from models.checkpoints import TINY_I
from models.conftest import ANSWERS, SENTENCES

import submission.model
from submission.errors import InputError
from submission.models import load
from submission.models.sa2va import Settings
from submission.models.sam2.approximation import Approximation


def test_the_family_is_read_from_the_files(frames):
    model = load(TINY_I, "cpu", "float32")
    (answer,) = model.segment(frames[:3], SENTENCES[:1], Settings(frames=2), answers=ANSWERS[:1])
    masks = np.asarray(answer.masks)
    assert (masks.shape, masks.dtype) == (frames[:3].shape[:3], np.bool_)


@pytest.mark.parametrize(("name", "says"), [("none", "no such"), ("text.txt", "no model that")])
def test_what_is_no_model(tmp_path, name, says):
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(InputError, match=says):
        load(tmp_path / name)


def test_the_old_form_gives_the_same_masks_and_a_warning(frames):
    old = submission.model.load(TINY_I, "cpu", "float32")
    rough = Approximation(nearest_prompts=1)
    with pytest.warns(DeprecationWarning, match="Settings"):
        before = old.segment(
            frames, SENTENCES, procedure="sa2va-i", num_frames=2, approximation=rough,
            answers=ANSWERS,
        )  # fmt: skip
    settings = Settings(procedure="sa2va-i", frames=2, nearest_prompts=1)
    after = old.segment(frames, SENTENCES, settings, answers=ANSWERS)
    assert all(
        np.array_equal(a.masks.bits, b.masks.bits) for a, b in zip(before, after, strict=True)
    )
