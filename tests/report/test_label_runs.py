"""Runs of labels against the same masks as arrays."""

import numpy as np
import pytest

from submission.masks.track import Track
from submission.report.label_runs import LabelRuns, edges, overlay, union

FRAMES = 3


def tracks(size: tuple[int, int], seed: int, count: int = 3) -> np.ndarray:
    """Random masks, bool (K, T, H, W), some empty, some full."""
    draw = np.random.default_rng(seed)
    density = draw.choice([0.0, 0.1, 0.5, 1.0], (count, FRAMES, 1, 1))
    return draw.random((count, FRAMES, *size)) < density


def edges_of(masks: np.ndarray) -> np.ndarray:
    return edges(Track.encode(masks).counts, masks.shape[1:])


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


@pytest.mark.parametrize("seed", range(8))
def test_a_union_covers_what_any_track_covers(seed):
    masks = tracks((6, 9), seed, count=4)
    together = overlay([union([edges_of(mask) for mask in masks])], (6, 9), FRAMES)
    np.testing.assert_array_equal(dense(together), masks.any(axis=0))


def test_a_union_of_nothing_is_empty():
    assert not dense(overlay([union([])], (4, 5), 2)).any()


def test_a_frame_without_a_mask_is_background():
    masks = tracks((6, 9), seed=1, count=1)[0]
    counts = [*Track.encode(masks).counts]
    counts[1] = None
    masks[1] = False
    np.testing.assert_array_equal(dense(overlay([edges(counts, (6, 9))], (6, 9), FRAMES)), masks)
