"""Masks under nearly right names are one fault a video, in place of two lines a frame."""

import shutil

import pytest

from submission.output.check import check


def faults_of(path, split):
    return [str(fault) for fault in check(path, split).faults]


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (lambda name: name.replace(".png", ".PNG"), "in other upper and lower case: 0/00000.PNG"),
        (lambda name: name.replace(".png", ".jpg"), "with another ending: 0/00000.jpg"),
        (lambda name: name[4:], "with other zeros in front: 0/0.png"),
        (lambda name: f"m{name}", "with other text around the number: 0/m00000.png"),
        (lambda name: f"masks/{name}", "one level deeper: 0/masks/00000.png"),
    ],
)
def test_masks_with_nearly_right_names(answer, split, new, words):
    for path in list((answer / "dogs").rglob("*.png")):
        target = path.parent / new(path.name)
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    assert faults_of(answer, split) == [f"dogs: 9 files lie there {words} for 0/00000.png, ..."]


def test_masks_counted_from_one(answer, split):
    for path in sorted((answer / "dogs").rglob("*.png"), reverse=True):
        path.rename(path.with_name(f"{int(path.stem) + 1:05}.png"))
    assert faults_of(answer, split) == [
        "dogs: 9 files lie there numbered one higher: 0/00001.png for 0/00000.png, ..."
    ]
    (answer / "dogs/0/00002.png").unlink()  # now a hole and a file too many, not a shift
    assert "dogs/0/00000.png: the frame is missing" in faults_of(answer, split)


def test_masks_of_another_split_are_one_fault(answer, split):
    others = ["kites", "boats", "apples"]
    for video, other in zip(split.videos, others, strict=False):
        (answer / video.name).rename(answer / other)
    (fault,) = faults_of(answer, split)
    assert fault.startswith(
        f"split {split.name}: none of its {len(split.videos)} videos lies there, but 2 others "
        "(boats, ...), which belong to another split"
    )
    (answer / "kites").rename(answer / split.videos[0].name)  # one fits: told video by video
    assert "boats: the video is not in the split" in "\n".join(faults_of(answer, split))


def test_what_is_too_many_is_told_in_the_order_of_names(answer, split):
    more = [f"extra_{number}" for number in range(8)]
    for name in reversed(more):
        (answer / name / "0").mkdir(parents=True)
        (answer / name / "0/00000.png").write_bytes(b"")
    assert [fault.partition(":")[0] for fault in faults_of(answer, split)] == more


def test_folders_with_nearly_right_names(answer, split):
    (answer / "dogs").rename(answer / "Dogs")
    for id in ("0", "2", "10"):
        (answer / "Dogs" / id).rename(answer / "Dogs" / f"{int(id):04d}")
    assert faults_of(answer, split) == [
        "dogs: a folder lies there in other upper and lower case: Dogs for dogs",
        "dogs: 3 folders lie there with other zeros in front: 0000 for 0, ...",
    ]


def test_masks_without_a_folder_for_each_expression(answer, split):
    for path in list((answer / "cups/0").iterdir()):
        path.rename(answer / "cups" / path.name)
    (answer / "cups/0").rmdir()
    faults = faults_of(answer, split)
    assert faults[0].startswith("cups: masks lie in the folder of the video; each expression has")


def test_what_is_missing_beside_nearly_right_names_is_told_too(answer, split):
    (answer / "dogs/2/00000.png").rename(answer / "dogs/2/0.png")
    (answer / "dogs/2/00001.png").unlink()
    shutil.copy(answer / "dogs/2/00002.png", answer / "dogs/2/note.png")
    assert faults_of(answer, split) == [
        "dogs: a file lies there with other zeros in front: 2/0.png for 2/00000.png",
        "dogs/2/00001.png: the frame is missing",
        "dogs/2/note.png: the file is not in the split",
    ]


def test_an_archive_inside_the_submission(answer, split):
    (answer / "masks.zip").write_bytes(b"PK")
    (fault,) = faults_of(answer, split)
    assert fault.startswith("masks.zip: an archive inside the submission, which nobody unpacks")
