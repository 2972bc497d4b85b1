"""Frames come out the same from a folder and a tar, and a damaged one is named."""

import shutil
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tiny_split import HEIGHT, WIDTH

from submission.dataset.frames import open_frames
from submission.errors import InputError


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


def test_a_tar_gives_the_same_pixels(split):
    video = split.videos[0]
    unpacked = open_frames(split).read(video)
    with tarfile.open(split.folder / "JPEGImages.tar", "w") as tar:
        tar.add(split.folder / "JPEGImages", "JPEGImages")
    shutil.rmtree(split.folder / "JPEGImages")
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
