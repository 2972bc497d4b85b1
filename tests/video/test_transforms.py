"""Sizes of images by hand; equal records are one key."""

import numpy as np
import pytest

from submission.video.transforms import AsIs, Mosaic, ShortSide, SmartResize, Squash, Then

CELL, TOKENS = 28 * 28, (512, 2048)  # Qwen-VL: pixels of a cell, and how many cells an image has
ANY = SmartResize(28, 4 * CELL, 16384 * CELL)
TO_QWEN = Then(ANY, SmartResize(28, TOKENS[0] * CELL, TOKENS[1] * CELL))


@pytest.mark.parametrize(
    ("transform", "frame", "image"),
    [
        (AsIs(), (30, 50), (30, 50)),
        (Squash(16), (30, 50), (16, 16)),
        (ShortSide(20), (30, 50), (20, 33)),
        (ShortSide(20), (50, 30), (33, 20)),
        (ShortSide(20, longest=25), (30, 50), (15, 25)),
        (ANY, (43, 70), (56, 56)),  # 70 is half-way between 56 and 84, and 2 x 28 is even
        (SmartResize(10, 1, 600), (30, 50), (10, 30)),
        (SmartResize(10, 6000, 9000), (30, 50), (60, 100)),
        (TO_QWEN, (1080, 1920), (952, 1680)),
        (TO_QWEN, (480, 640), (560, 756)),
        (Mosaic(1, 8), (30, 50), (8, 8)),
    ],
)
def test_the_size_is_that_of_the_image(transform, frame, image):
    assert transform.size(*frame) == image
    assert transform(np.zeros((*frame, 3), np.uint8)).shape == (*image, 3)
    assert transform.frames_per_image == 1
    assert len({transform, type(transform)(**vars(transform))}) == 1
