"""Run lengths survive a round trip, and damaged ones are refused before anything reads them."""

import numpy as np
import pycocotools.mask as coco
import pytest

from submission.dataset.rle import (
    counts_fault,
    decode,
    decode_union,
    decode_window,
    encode,
    encode_ends,
    encode_packed,
    encode_window,
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
        window = decode_window(written, mask.shape, align=8)
        assert window.left % 8 == 0
        assert encode_window(window, mask.shape) == written


def test_runs_of_no_pixels_are_read_as_such():
    # Not as COCO writes it, but as other tools may: 2 off, 0 on, 1 off, 1 on, 0 off, 1 on, 1 off.
    mask = np.array([[False, True], [False, True], [False, False]])
    assert np.array_equal(decode(encode_ends(np.array([2, 2, 3, 4, 4, 5, 6]), False), (3, 2)), mask)


def test_union_of_nothing_is_empty():
    assert not decode_union([], (3, 4)).any()


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
        b"5O8",  # a negative run
    ],
)
def test_damaged_run_lengths_are_refused(counts):
    assert counts_fault(counts, (3, 4)) is not None


def test_every_cut_of_a_long_text_is_refused():
    mask = np.random.default_rng(1).random((60, 60)) < 0.3
    counts = encode(mask)
    assert all(counts_fault(counts[:end], mask.shape) for end in range(len(counts)))
