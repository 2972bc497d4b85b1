"""A shape holds the same pixels wherever it comes from: an array, a PNG, or run lengths."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from submission.dataset.images import BrokenImage
from submission.masks.track import Track
from submission.output.png_files import encode_png, read_mask
from submission.score.mask_window import Shape

SIZES = [(1, 1), (1, 9), (9, 1), (7, 8), (13, 30)]


def masks(height, width):
    """Empty, full, single pixels, lines along each border, a frame with a hole, and noise."""
    rng = np.random.default_rng(height * 100 + width)
    blank = np.zeros((height, width), bool)
    found = [blank, ~blank, *(rng.random((4, height, width)) < 0.3)]
    for region in ((0, 0), (-1, -1), (0, slice(None)), (-1, slice(None)), (slice(None), 0),
                   (slice(None), -1), (height // 2, width // 2)):  # fmt: skip
        mask = blank.copy()
        mask[region] = True
        found += [mask, ~mask]
    return found


def whole(shape):
    """The shape put back into its frame."""
    mask = np.zeros(shape.size, bool)
    height, width = shape.window.shape
    mask[shape.top : shape.top + height, shape.left : shape.left + width] = shape.window
    return mask


def window_of(mask):
    """The mask as a track draws it for scoring."""
    return Track.encode(mask[None]).windows(margin=1)[0]


@pytest.mark.parametrize("size", SIZES)
def test_every_way_in_keeps_every_pixel(size):
    for mask in masks(*size):
        shapes = [
            Shape.of_mask(mask),
            Shape.of_png(encode_png(mask, "1bit")),
            Shape.of_png(encode_png(mask, "8bit")),
            Shape.of_window(window_of(mask), size),
        ]
        for shape in shapes:
            assert np.array_equal(whole(shape), mask)
            assert shape.area == mask.sum()
            assert len(shape.outline) == len(shapes[0].outline)


@pytest.mark.parametrize("size", SIZES)
def test_the_shared_area_is_that_of_the_intersection(size):
    candidates = masks(*size)
    for first in candidates:
        for second in candidates:
            shared = Shape.of_mask(first).shared_area(Shape.of_mask(second))
            assert shared == (first & second).sum()


def test_the_window_is_small():
    mask = np.zeros((200, 300), bool)
    mask[100:110, 200:220] = True
    for shape in (Shape.of_mask(mask), Shape.of_window(window_of(mask), (200, 300))):
        assert (shape.top, shape.left, shape.window.shape) == (99, 199, (12, 22))
    assert Shape.of_png(encode_png(mask)).window.size < 12 * 48


def test_other_image_files_are_read_as_the_judge_reads_them():
    mask = np.random.default_rng(3).random((9, 21)) < 0.5
    palette = Image.new("P", (21, 9))
    palette.putdata(mask.astype(int).reshape(-1).tolist())
    palette.putpalette([0, 0, 0, 128, 0, 0])
    filtered = Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0)))
    for image in (palette, filtered, filtered.convert("RGB")):
        file = io.BytesIO()
        image.save(file, "PNG", optimize=True)
        assert np.array_equal(whole(Shape.of_png(file.getvalue())), mask)


def test_a_damaged_file_is_refused():
    content = bytearray(encode_png(np.eye(30, dtype=bool)))
    content[50] ^= 0xFF
    for damaged in (bytes(content), bytes(content[:-20]), b"", b"no image"):
        with pytest.raises(BrokenImage):
            Shape.of_png(damaged)


def test_bits_behind_the_last_column_are_no_pixels():
    mask = np.zeros((4, 9), bool)
    image = Image.new("1", (16, 4))
    image.putpixel((12, 2), 1)  # in the same byte as column 8, behind it
    wide = np.asarray(image)
    narrow = encode_png(wide)
    header = narrow[:16] + (9).to_bytes(4) + narrow[20:29]
    content = header + zlib.crc32(header[12:]).to_bytes(4) + narrow[33:]
    assert np.array_equal(read_mask(content), mask)
    assert np.array_equal(whole(Shape.of_png(content)), mask)
