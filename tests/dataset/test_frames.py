"""Frames come out the same from a folder and a tar, and a damaged one is named."""

import shutil
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tiny_split import HEIGHT, WIDTH, meta, write_meta

from submission.dataset.frames import open_frames
from submission.dataset.mevis import read_split
from submission.errors import FaultyInput, InputError


def test_frames_are_rgb_in_the_order_of_the_video(split):
    frames = open_frames(split).read(split.videos[0])
    assert frames.shape == (3, HEIGHT, WIDTH, 3)
    assert frames.dtype == np.uint8
    third = np.asarray(Image.open(split.folder / "JPEGImages" / "dogs" / "00002.jpg"))
    assert np.array_equal(frames[2], third)
    assert np.array_equal(open_frames(split).read(split.videos[0], [2, 0]), frames[[2, 0]])


def test_a_grey_frame_becomes_rgb(split):
    Image.new("L", (WIDTH, HEIGHT), 7).save(split.folder / "JPEGImages/cups/00000.jpg")
    assert np.array_equal(open_frames(split).read(split.videos[1])[0, 0, 0], [7, 7, 7])


def ramp():
    """Grey values of 16 bits, all over their range."""
    return np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)


def pack_frames(folder):
    with tarfile.open(folder / "JPEGImages.tar", "w") as tar:
        tar.add(folder / "JPEGImages", "JPEGImages")
    shutil.rmtree(folder / "JPEGImages")


@pytest.mark.parametrize("packed", [False, True])
def test_16_bit_grey_is_read_by_its_high_byte(split_folder, packed):
    for frame in ("00000", "00001"):
        (split_folder / f"JPEGImages/cups/{frame}.jpg").unlink()
        Image.fromarray(ramp()).save(split_folder / f"JPEGImages/cups/{frame}.png")
    if packed:
        pack_frames(split_folder)
    split = read_split(split_folder.parent, split_folder.name)
    frames = open_frames(split).read(split.videos[1])
    assert np.array_equal(frames[0], np.repeat((ramp() >> 8)[..., None], 3, axis=2))
    assert len(np.unique(frames)) == 256


@pytest.mark.parametrize("packed", [False, True])
def test_a_picture_without_one_meaning_is_refused_before_a_model_works(split_folder, packed):
    path = split_folder / "JPEGImages/cups/00001.jpg"
    Image.fromarray(ramp().astype(np.float32)).save(path, "TIFF")
    if packed:
        pack_frames(split_folder)
    with pytest.raises(FaultyInput, match=r"cups/00001\.jpg: .*picture of mode F; store 8 bits"):
        read_split(split_folder.parent, split_folder.name)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_pictures_of_eight_bits_are_read(split, mode):
    path = split.folder / "JPEGImages/cups/00000.jpg"
    image = Image.new("L", (WIDTH, HEIGHT), 255).convert("RGB").convert(mode)
    image.save(path, "TIFF")
    assert read_split(split.root, split.name).num_masks == split.num_masks
    assert open_frames(split).read(split.videos[1])[0].min() == 255


def test_frames_come_in_the_order_in_which_the_meta_file_lists_them(split_folder):
    before = read_split(split_folder.parent, split_folder.name)
    pixels = open_frames(before).read(before.videos[0])
    names = ["9", "10", "11"]
    value = meta()
    value["videos"]["dogs"]["frames"] = names
    write_meta(split_folder, value)
    for old, new in zip(before.videos[0].frame_names, names, strict=True):
        folder = split_folder / "JPEGImages/dogs"
        (folder / f"{old}.jpg").rename(folder / f"{new}.jpg")
    after = read_split(split_folder.parent, split_folder.name)
    assert np.array_equal(open_frames(after).read(after.videos[0]), pixels)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "run: git lfs pull"),
        (b"<!DOCTYPE html><title>Quota exceeded</title>", "a web page instead of the file"),
    ],
)
def test_what_lies_there_instead_of_a_picture_is_named(split, content, expected):
    (split.folder / "JPEGImages/cups/00000.jpg").write_bytes(content)
    with pytest.raises(FaultyInput, match=expected):
        read_split(split.root, split.name)


def test_a_frame_whose_file_is_larger_than_its_pixels_is_not_read(split):
    path = split.folder / "JPEGImages/cups/00000.jpg"
    with path.open("ab") as file:
        file.truncate(1 << 32)  # a sparse file: four gigabytes of zeros
    with pytest.raises(InputError, match=r"4,294,967,296 bytes, but .* at most 1,056,256"):
        open_frames(split).read(split.videos[1])
    with pytest.raises(FaultyInput, match="4,294,967,296 bytes"):
        read_split(split.root, split.name)


def test_a_tar_gives_the_same_pixels(split):
    video = split.videos[0]
    unpacked = open_frames(split).read(video)
    pack_frames(split.folder)
    assert np.array_equal(open_frames(split).read(video), unpacked)


@pytest.mark.parametrize("kept", [0, 100, -300])
def test_a_damaged_frame_is_named_with_its_video(split, kept):
    path = split.folder / "JPEGImages" / "dogs" / "00001.jpg"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"00001\.jpg \(video dogs\)"):
        open_frames(split).read(split.videos[0])


def test_a_frame_that_is_gone_is_named(split):
    (split.folder / "JPEGImages" / "dogs" / "00001.jpg").unlink()
    with pytest.raises(InputError, match="frame 00001 of video dogs is missing"):
        open_frames(split).read(split.videos[0])


def test_a_frame_of_another_size_is_refused(split):
    video = replace(split.videos[0], size=(HEIGHT, WIDTH + 1))
    with pytest.raises(InputError, match="the video has 41 x 24"):
        open_frames(split).read(video)
