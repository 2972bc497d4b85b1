"""Runs of labels against the same masks as arrays."""

import numpy as np
import pytest

from submission.masks.label_runs import LabelRuns, overlay, union
from submission.masks.track import Track

FRAMES = 3


def tracks(size: tuple[int, int], seed: int, count: int = 3) -> np.ndarray:
    """Random masks, bool (K, T, H, W), some empty, some full."""
    draw = np.random.default_rng(seed)
    density = draw.choice([0.0, 0.1, 0.5, 1.0], (count, FRAMES, 1, 1))
    return draw.random((count, FRAMES, *size)) < density


def edges_of(masks: np.ndarray) -> np.ndarray:
    return Track.encode(masks).edges


def dense(runs: LabelRuns) -> np.ndarray:
    """Labels as (T, H, W)."""
    height, width = runs.size
    flat = np.repeat(runs.labels, runs.lengths)
    return flat.reshape(runs.num_frames, width, height).transpose(0, 2, 1)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (24, 40)])
@pytest.mark.parametrize("seed", range(8))
def test_labels_areas_and_grid_are_those_of_the_masks(size, seed):
    masks = tracks(size, seed)
    labels = sum(mask.astype(int) << layer for layer, mask in enumerate(masks))
    runs = overlay([edges_of(mask) for mask in masks], size, FRAMES)
    np.testing.assert_array_equal(dense(runs), labels)

    known, areas = runs.areas()
    assert areas.sum() == labels.size
    for column, label in enumerate(known):
        np.testing.assert_array_equal(areas[:, column], (labels == label).sum(axis=(1, 2)))

    grid = max(1, size[0] // 2), max(1, size[1] * 2 // 3)
    rows = (2 * np.arange(grid[0]) + 1) * size[0] // (2 * grid[0])
    columns = (2 * np.arange(grid[1]) + 1) * size[1] // (2 * grid[1])
    small = runs.on_grid(grid)
    np.testing.assert_array_equal(dense(small), labels[:, rows][:, :, columns])
    assert np.isin(np.arange(FRAMES) * grid[0] * grid[1], small.starts).all()


@pytest.mark.parametrize(("seed", "count"), [*((seed, 4) for seed in range(8)), (9, 130)])
def test_a_union_covers_what_any_track_covers(seed, count):
    masks = tracks((6, 9), seed, count) & (np.random.default_rng(seed).random((6, 9)) < 0.5)
    together = union([edges_of(mask) for mask in masks], (6, 9), FRAMES)
    assert Track.from_edges((6, 9), FRAMES, together) == Track.encode(masks.any(axis=0))


def test_a_union_of_nothing_is_empty():
    assert not len(union([], (4, 5), 2))


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (24, 40)])
@pytest.mark.parametrize("seed", range(8))
def test_runs_that_are_chosen_by_their_label_are_a_track(size, seed):
    masks = tracks(size, seed)
    runs = overlay([edges_of(mask) for mask in masks], size, FRAMES)
    table = np.random.default_rng(seed).random(8) < 0.5
    chosen = table[sum(mask.astype(int) << layer for layer, mask in enumerate(masks))]
    found = Track.from_edges(size, FRAMES, runs.where(table[runs.labels]))
    assert found.counts == Track.encode(chosen).counts  # each frame for itself, as COCO writes it


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 1), (7, 5), (24, 40)])
@pytest.mark.parametrize(("align", "margin"), [(1, 0), (8, 0), (1, 1)])
def test_windows_hold_the_foreground_and_no_more(size, align, margin):
    blank = np.zeros((1, *size), bool)
    masks = np.concatenate([*tracks(size, 1), *tracks(size, 2), blank, ~blank])
    windows = Track.encode(masks).windows(align=align, margin=margin)
    assert len(windows) == len(masks)
    for index, mask in enumerate(masks):
        rows, top, left, width = windows[index]
        pixels = windows[index].pixels
        assert np.array_equal(np.packbits(pixels, axis=1), rows)
        drawn = np.zeros(size, bool)
        drawn[top : top + len(rows), left : left + width] = pixels
        assert np.array_equal(drawn, mask)
        if mask.any():
            y, x = np.nonzero(mask)
            assert top == max(y.min() - margin, 0)
            assert top + len(rows) == min(y.max() + 1 + margin, size[0])
            assert left == max(x.min() - margin, 0) // align * align
            assert left + width == min(x.max() + 1 + margin, size[1])
        else:
            assert pixels.size == 0
