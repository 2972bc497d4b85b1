"""Masks as text: what the page reads is what was written, within its allowance."""

import base64
import zlib

import numpy as np
import pytest

from submission.masks.label_runs import LabelRuns, overlay
from submission.masks.track import Track
from submission.report.mask_text import MaskText, write_masks


def read(masks: MaskText) -> tuple[list[int], list[int]]:
    """Return labels and lengths of the runs, decoded in the plainest way."""
    numbers, number, shift = [], 0, 0
    for byte in zlib.decompress(base64.b64decode(masks.text)):
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number, shift = 0, 0
    runs = numbers[0]
    assert len(numbers) == 2 * runs + 1
    return [masks.palette[place] for place in numbers[runs + 1 :]], numbers[1 : runs + 1]


def noise(size: tuple[int, int], frames: int = 2) -> LabelRuns:
    masks = np.random.default_rng(3).random((2, frames, *size)) < 0.3
    return overlay([Track.encode(mask).edges for mask in masks], size, frames)


def test_small_masks_are_written_as_they_are():
    runs = noise((20, 30))
    masks = write_masks(runs, allowance=1e6)
    assert masks.grid == (20, 30)
    assert read(masks) == (runs.labels.tolist(), runs.lengths.tolist())


def test_long_runs_take_several_bytes():
    size = (1080, 1920)
    runs = overlay([np.array([30_000, 2_000_000])], size, 1)
    masks = write_masks(runs, allowance=1e6)
    labels, lengths = read(masks)
    assert masks.grid == (180, 320)
    assert sum(lengths) == 180 * 320
    assert labels == [0, 1, 0]


@pytest.mark.parametrize("allowance", [4_000, 1_000])
def test_the_grid_becomes_coarser_until_the_text_is_short_enough(allowance):
    masks = write_masks(noise((120, 200)), allowance)
    assert 0.3 * allowance < len(masks.text) <= allowance
    assert masks.grid[1] < 200


def test_the_grid_has_at_least_32_columns():
    assert write_masks(noise((120, 200)), allowance=10).grid == (19, 32)
