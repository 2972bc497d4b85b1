"""Somebody else's masks are compared with the split by the words of the check, and unpacked not."""

import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from submission.experts.mask_files import MaskFiles
from submission.output.given_masks import look_at_masks, size_faults
from submission.output.mask_files import open_submission
from submission.output.png_files import encode_png
from submission.output.zip_file import write_zip


def faults_of(path, split, **options):
    with open_submission(path) as files:
        given = look_at_masks(files, split, **options)
        faults = [*given.faults, *size_faults(files, split, given.members)]
    return [str(fault) for fault in faults]


def rezip(folder, path, prefix="", slash="/"):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            inside = f"{prefix}{file.relative_to(folder).as_posix()}"
            archive.write(file, inside.replace("/", slash))
    return path


def test_masks_of_all_videos_and_more_are_welcome(answer, split, tmp_path):
    write_zip(answer, split, tmp_path / "s.zip")
    assert faults_of(tmp_path / "s.zip", split) == []
    shutil.copytree(answer / "dogs", answer / "cats")
    (answer / ".DS_Store").touch()
    assert faults_of(answer, split) == []


def test_a_folder_around_all_videos_is_looked_through(answer, split, tmp_path):
    path = rezip(answer, tmp_path / "s.zip", "Annotations/")
    assert faults_of(path, split) == []
    with open_submission(path) as files:
        members = look_at_masks(files, split).members
        assert members["dogs/2/00001.png"] == "Annotations/dogs/2/00001.png"
        track = files.read_track(split.videos[0], "2", members)
    with open_submission(answer) as files:
        assert track == files.read_track(split.videos[0], "2")


def test_masks_of_another_split_are_one_fault_without_a_hint_that_does_not_help(answer, split):
    (answer / "dogs").rename(answer / "kites")
    expert = MaskFiles("other", answer)
    hint = 'masks may lack whole expressions with [vote] missing = "skip"'
    assert hint in expert.faults(split)[-1].what  # the cups are there: it may help
    (answer / "cups").rename(answer / "boats")
    (fault,) = expert.faults(split)
    assert "none of its 2 videos lies there, but 2 others (boats, ...)" in fault.what


def test_what_is_missing_is_told_by_the_largest_part(answer, split):
    shutil.rmtree(answer / "cups")
    shutil.rmtree(answer / "dogs/10")
    (answer / "dogs/2/00001.png").unlink()
    gap = "dogs/2/00001.png: the frame is missing"
    assert faults_of(answer, split) == [
        gap,
        "dogs/10: the expression is missing (3 files)",
        "cups: the video is missing (2 files)",
    ]
    assert faults_of(answer, split, may_lack=True) == [gap]
    shutil.rmtree(answer / "dogs")
    assert len(faults_of(answer, split, may_lack=True)) == 2  # of these masks nothing fits


def test_sizes_are_read_from_headers_and_told_once(answer, split):
    for frame in (answer / "dogs/2").iterdir():
        frame.write_bytes(encode_png(np.ones((24, 39), bool))[:30])  # no more than a header
    Image.new("L", (41, 24)).save(answer / "cups/0/00000.png")
    Image.new("RGB", (40, 24)).save(answer / "cups/0/00001.png")
    assert faults_of(answer, split) == [
        "dogs/2: all 3 frames: 39 x 24 pixels, but the video has 40 x 24",
        "cups/0/00000.png: 41 x 24 pixels, but the video has 40 x 24",
    ]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda answer, path: rezip(answer, path, slash="\\"), 'a name with "\\"'),
        (lambda answer, path: rezip(answer, path, "../"), "a name with .."),
    ],
)
def test_names_that_the_check_refuses_are_refused(answer, split, tmp_path, make, words):
    assert words in faults_of(make(answer, tmp_path / "s.zip"), split)[0]


def test_a_zip_inside_a_zip_and_other_endings(answer, split, tmp_path):
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(rezip(answer, tmp_path / "s.zip"), "s.zip")
    first = faults_of(tmp_path / "outer.zip", split)[0]
    assert first.startswith("s.zip: an archive inside the submission")
    for frame in list((answer / "cups/0").iterdir()):
        frame.rename(frame.with_suffix(".jpg"))
    (fault,) = faults_of(answer, split)
    assert fault.startswith("cups: 2 files lie there with another ending: 0/00000.jpg for")
