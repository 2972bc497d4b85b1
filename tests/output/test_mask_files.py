"""Masks in the submission layout are read alike from a folder and a zip."""

from dataclasses import replace

import numpy as np
import pytest

from submission.errors import InputError
from submission.output.mask_files import MaskArchive, MaskFolder, open_submission
from submission.output.png_files import encode_png, read_mask
from submission.output.zip_file import write_zip


@pytest.fixture(params=["folder", "zip"])
def masks(request, answer, split):
    path = answer
    if request.param == "zip":
        path = answer.parent / "submission.zip"
        write_zip(answer, split, path)
    with open_submission(path) as files:
        yield files


def test_names_and_bytes_are_those_of_the_files(masks, answer, split):
    expected = sorted(path.relative_to(answer).as_posix() for path in answer.rglob("*.png"))
    assert sorted(masks.names()) == expected
    assert len(expected) == split.num_masks
    assert masks.read(expected[3]) == (answer / expected[3]).read_bytes()


def test_a_track_holds_the_masks_of_one_sentence(masks, answer, split):
    track = masks.read_track(split.videos[0], "2")
    files = sorted((answer / "dogs" / "2").iterdir())
    assert np.array_equal(track.decode(), [read_mask(path.read_bytes()) for path in files])


def test_a_frame_of_another_size_is_named(masks, split):
    with pytest.raises(InputError, match=r"dogs/2/00000\.png: 40 x 24 pixels, .* 41 x 24"):
        masks.read_track(replace(split.videos[0], size=(24, 41)), "2")


def test_a_missing_frame_is_named(masks, split):
    with pytest.raises(InputError, match=r"dogs/2/00003\.png: "):
        masks.read_track(replace(split.videos[0], frame_names=("00003",)), "2")


def test_a_damaged_mask_is_named(answer, split):
    path = answer / "dogs" / "2" / "00001.png"
    path.write_bytes(encode_png(np.ones((24, 40), bool))[:50])
    with pytest.raises(InputError, match=r"dogs/2/00001\.png: damaged or cut off"):
        MaskFolder(answer).read_track(split.videos[0], "2")


def test_what_is_neither_folder_nor_zip_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        open_submission(tmp_path / "nothing.zip")
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(InputError, match="not a zip"):
        MaskArchive(tmp_path / "text.zip")
