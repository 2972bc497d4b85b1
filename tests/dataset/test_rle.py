"""Run lengths survive a round trip, and damaged ones are refused before anything reads them."""

import re

import numpy as np
import pycocotools.mask as coco
import pytest

from submission.dataset.rle import (
    counts_fault,
    decode,
    encode,
    encode_ends,
    encode_packed,
    read_edges,
)


def some_masks():
    rng = np.random.default_rng(3)
    yield np.zeros((7, 5), dtype=bool)
    yield np.ones((7, 5), dtype=bool)
    yield np.ones((1, 1), dtype=bool)
    yield np.arange(1200 * 1900).reshape(1200, 1900) == 2_000_000  # runs of a million pixels
    for density in (0.02, 0.5, 0.98):
        yield rng.random((33, 57)) < density
    yield np.pad(np.ones((400, 300), dtype=bool), 50)  # long runs, numbers of several characters


def test_masks_survive_a_round_trip():
    for mask in some_masks():
        counts = encode(mask)
        assert counts_fault(counts, mask.shape) is None
        assert np.array_equal(decode(counts, mask.shape), mask)


def test_the_encoding_is_that_of_coco():
    mask = np.zeros((3, 4), dtype=bool)
    mask[1:, 1] = True  # by columns: 4 off, 2 on, 6 off
    assert encode(mask) == b"426"


def test_coco_writes_the_same_text():
    for mask in some_masks():
        written = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
        assert encode(mask) == written
        assert encode(np.asfortranarray(mask)) == written


def small_masks():
    """Masks of a few pixels: whatever touches a border, fills a column or joins two of them."""
    rng = np.random.default_rng(5)
    for height, width in [(1, 1), (1, 9), (5, 1), (3, 4), (4, 10)]:
        for density in (0, 0.1, 0.5, 0.9, 1):
            for _ in range(20):
                mask = rng.random((height, width)) < density
                mask[: rng.integers(height), :] = False
                mask[:, : rng.integers(width)] = False
                yield mask if rng.random() < 0.5 else mask[::-1, ::-1]


def test_windows_at_every_border_are_as_coco_writes_them():
    for mask in small_masks():
        written = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
        assert encode(mask) == written
        assert encode_packed(np.packbits(mask, axis=1), mask.shape[1]) == written
        assert np.array_equal(decode(written, mask.shape), mask)


def test_runs_of_no_pixels_are_read_as_such():
    # Not as COCO writes it, but as other tools may: 2 off, 0 on, 1 off, 1 on, 0 off, 1 on, 1 off.
    mask = np.array([[False, True], [False, True], [False, False]])
    assert np.array_equal(decode(encode_ends(np.array([2, 2, 3, 4, 4, 5, 6]), False), (3, 2)), mask)


def test_edges_are_where_foreground_begins_and_ends_mask_after_mask():
    density = np.array([0.5, 0.5, 0.5, 0, 1, 1, 0.2, 0.2, 0])[:, None, None]
    masks = np.random.default_rng(7).random((9, 7, 6)) < density
    pixels = masks.transpose(0, 2, 1).reshape(len(masks), -1)
    inside = np.pad(pixels.astype(int), ((0, 0), (1, 1)))
    frame, place = np.nonzero(np.diff(inside))
    texts = [encode(mask) for mask in masks]
    assert np.array_equal(read_edges(texts, (7, 6)), frame * 42 + place)


def test_edges_leave_out_runs_of_no_pixels():
    unusual = [
        encode_ends(np.array(ends), False)
        for ends in ([2, 2, 6], [0, 3, 3, 6], [1, 2, 2, 4, 4, 4, 6], [6, 6], [0, 6])
    ]
    expected = [6, 12, 13, 16, 24, 30]
    assert read_edges(unusual, (3, 2)).tolist() == expected


@pytest.mark.parametrize(
    "counts",
    [
        b"",
        b"42",  # too few pixels
        b"427",  # too many
        b"42V",  # the last character promises another
        b"42\x80",
        b"4 6",
        b"ooooooo",  # a number without an end
        b"oooooooo0",  # a number longer than any image
        b"\\PPPPPP0",  # 12, in more characters than are added up in 64 bits without care
        b"5O8",  # a negative run
    ],
)
def test_damaged_run_lengths_are_refused(counts):
    fault = counts_fault(counts, (3, 4))
    assert fault is not None
    with pytest.raises(ValueError, match="^" + re.escape(fault)):
        read_edges([b"426", counts, b"426"], (3, 4))


def test_masks_that_are_whole_only_together_are_refused():
    with pytest.raises(ValueError, match="cover 11 pixels, not 4 x 3 = 12"):
        read_edges([b"425", b"427"], (3, 4))


def test_every_cut_of_a_long_text_is_refused():
    mask = np.random.default_rng(1).random((60, 60)) < 0.3
    counts = encode(mask)
    assert all(counts_fault(counts[:end], mask.shape) for end in range(len(counts)))
