"""What lies there under a nearly right name is told, once a video, with what differs."""

import shutil
import tarfile
import unicodedata

import pytest
from tiny_split import FRAMES, meta, write_meta

from submission.dataset.mevis import read_split
from submission.dataset.near_names import pair_up
from submission.errors import FaultyInput


def faults_of(folder):
    with pytest.raises(FaultyInput) as caught:
        read_split(folder.parent, folder.name)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("wanted", "found", "pairs", "how"),
    [
        (["00000.png", "00001.png"], ["00001.PNG", "00000.PNG"], 2, "upper and lower case"),
        (["00000.png", "00001.png"], ["00001.jpg", "00000.jpg"], 2, "another ending"),
        (["00000.png", "00010.png"], ["0.png", "10.png"], 2, "zeros in front"),
        (["0.png"], ["000.PNG"], 1, "zeros in front"),
        (["00000.png", "00010.png"], ["mask_0.png", "mask_10.png"], 2, "text around the number"),
        (["caf\u00e9"], ["cafe\u0301"], 1, "Unicode form"),
        (["v1"], ["V1"], 1, "upper and lower case"),
        (["00000.png"], ["masks/00000.png"], 1, "one level deeper"),
    ],
)
def test_names_that_differ_by_a_little_are_paired(wanted, found, pairs, how):
    near = pair_up(wanted, found)
    assert len(near.found_for) == pairs
    assert how in near.how


@pytest.mark.parametrize(
    ("wanted", "found"),
    [(["dogs"], ["cats"]), (["00000.png"], []), (["1.png"], ["01.jpg", "001.jpg"])],
)
def test_names_of_which_nobody_can_tell_what_they_are_stay_apart(wanted, found):
    assert pair_up(wanted, found) is None


def rename_frames(split_folder, new):
    for path in list((split_folder / "JPEGImages/dogs").iterdir()):
        path.rename(path.with_name(new(path.name)))


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (lambda name: f"frame_{name}", "3 files lie there with other text around the number: "),
        (lambda name: name.replace(".jpg", ".webp"), "3 files lie there with another ending: "),
        (lambda name: name[4:], "3 files lie there with other zeros in front: "),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_frames_with_nearly_right_names_are_one_fault(split_folder, new, words, packed):
    rename_frames(split_folder, new)
    where = "JPEGImages/dogs"
    if packed:
        with tarfile.open(split_folder / "JPEGImages.tar", "w") as tar:
            tar.add(split_folder / "JPEGImages", "JPEGImages")
        shutil.rmtree(split_folder / "JPEGImages")
        where = "JPEGImages.tar: dogs"
    (fault,) = faults_of(split_folder)
    head = f"{where}: 3 of 3 frames are missing, the first of them 00000.jpg; {words}"
    assert fault.startswith(head)
    assert fault.endswith("for 00000.jpg, ...")


def test_frames_that_are_listed_with_their_ending(split_folder):
    value = meta()
    value["videos"]["dogs"]["frames"] = [f"{frame}.jpg" for frame in FRAMES]
    write_meta(split_folder, value)
    (fault,) = faults_of(split_folder)
    assert fault.endswith('with their ending: write "00000" for "00000.jpg"')


def test_the_folder_of_a_video_with_a_nearly_right_name(split_folder):
    (split_folder / "JPEGImages/dogs").rename(split_folder / "JPEGImages/Dogs")
    assert faults_of(split_folder) == [
        "JPEGImages/dogs: none of the 3 frames is there; a folder lies there in other upper and "
        "lower case: Dogs for dogs"
    ]
    value = meta()
    value["videos"]["\u00e9t\u00e9"] = value["videos"].pop("dogs")
    write_meta(split_folder, value)
    other = unicodedata.normalize("NFD", "\u00e9t\u00e9")
    (split_folder / "JPEGImages/Dogs").rename(split_folder / "JPEGImages" / other)
    (fault,) = faults_of(split_folder)
    assert fault.endswith("in another Unicode form: e\\u0301te\\u0301 for \\xe9t\\xe9")


def test_a_folder_of_another_video_stands_for_none(split_folder):
    value = meta()
    value["videos"]["dogs2"] = value["videos"]["dogs"]
    value["videos"]["cups2"] = value["videos"]["dogs"]
    (split_folder / "JPEGImages/dogs").rename(split_folder / "JPEGImages/dogs2")
    write_meta(split_folder, value)
    assert all(fault.endswith("frames is there") for fault in faults_of(split_folder))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("JPEGImages/JPEGImages/dogs", "JPEGImages/JPEGImages/dogs is at the wrong level"),
        ("dogs", "valid_u/dogs is at the wrong level"),
        ("JPEGImages/dogs/images", "the folder images/ in it is one level too deep"),
    ],
)
def test_frames_at_another_level(split_folder, place, words):
    frames = (split_folder / "JPEGImages/dogs").rename(split_folder / "away")
    (split_folder / place).parent.mkdir(exist_ok=True)
    frames.rename(split_folder / place)
    (fault,) = faults_of(split_folder)
    assert words in fault


def test_what_lies_there_instead_of_all_pictures_is_one_fault(split_folder):
    for path in (split_folder / "JPEGImages/dogs").iterdir():
        path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    (fault,) = faults_of(split_folder)
    assert fault.startswith("JPEGImages/dogs: all 3 frames: the frame is unreadable: ")
    assert "git-lfs" in fault
