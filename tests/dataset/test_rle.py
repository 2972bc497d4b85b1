"""Run lengths survive a round trip, and damaged ones are refused before anything reads them."""

import numpy as np
import pycocotools.mask as coco
import pytest

from submission.dataset.rle import counts_fault, decode, decode_union, encode


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
