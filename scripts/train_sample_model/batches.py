"""Batches: scenes drawn and painted, with what the guides of training need to know of them.

Everything comes from one `random.Random`, so that a step is the same whenever it is taken.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scripts.sample_data.scene import COLOURS, HEIGHT, WIDTH, Scene
from scripts.train_sample_model.lessons import draw_lesson
from scripts.train_sample_model.pictures import Painter
from scripts.train_sample_model.sizes import CELLS
from submission.video.sampling import key_frames

LEAST_PIXELS = 25  # of a picture: with fewer, an object counts as unseen
AT_RANDOM, SHAKEN = 0.25, 0.4  # shares of key frames drawn at random; uniform, but shifted by one


@dataclass(frozen=True)
class Batch:
    """B scenes in M pictures each; `times` says which frame each picture is."""

    scenes: list[Scene]
    times: list[list[int]]
    frames: Tensor  # uint8 (B, M, S, S, 3)
    owners: Tensor  # int8 (B, M, S, S): index of the shape, -1 for none


def draw_batch(
    painter: Painter, rng: random.Random, size: int, count: int, *, random_share: float = AT_RANDOM
) -> Batch:
    """Draw scenes of various lengths, each in `count` key frames of its own."""
    scenes = [draw_lesson(rng) for _ in range(size)]
    times = [draw_key_frames(rng, s.num_frames, count, random_share) for s in scenes]
    return paint(painter, rng, scenes, times)


def paint(
    painter: Painter, rng: random.Random, scenes: list[Scene], times: list[list[int]]
) -> Batch:
    """Paint the frames at `times` of each scene."""
    painted = [painter.paint(s, t, rng) for s, t in zip(scenes, times, strict=True)]
    frames, owners = (torch.from_numpy(np.stack(part)) for part in zip(*painted, strict=True))
    return Batch(scenes, times, frames, owners)


def draw_key_frames(
    rng: random.Random, num_frames: int, count: int, random_share: float = AT_RANDOM
) -> list[int]:
    """Draw `count` ascending frames: mostly as the kit samples uniformly, some shifted."""
    if rng.random() < random_share:
        return sorted(rng.sample(range(num_frames), count))
    times = list(key_frames(num_frames, count, "uniform"))
    if rng.random() < SHAKEN:
        shifted = {min(max(t + rng.randint(-1, 1), 0), num_frames - 1) for t in times}
        if len(shifted) == count:
            return sorted(shifted)
    return times


@dataclass(frozen=True)
class Sightings:
    """Where shapes are seen, one entry for each shape in each picture that shows it."""

    clip: Tensor  # long (n,)
    picture: Tensor  # long (n,): 0..M-1
    token: Tensor  # long (n,): the visual token that holds the shape's centre
    shape: Tensor  # long (n,): index in the scene
    colour: Tensor  # long (n,)
    inside: Tensor  # float (n, 3): x and y within the token in -1..1, and radius
    is_last: Tensor  # bool (n,): no later picture shows it
    place: Tensor  # float (n, 3): x and y in tokens, and radius, for displacements


def find_shapes(batch: Batch) -> Sightings:
    """Find every shape in every picture, from scene and visible pixels."""
    most = max(len(scene.shapes) for scene in batch.scenes)
    seen = torch.stack([(batch.owners == i).sum(dim=(2, 3)) for i in range(most)], 2).numpy()
    rows: list[tuple[float, ...]] = []
    for b, scene in enumerate(batch.scenes):
        camera = scene.camera
        for index, shape in enumerate(scene.shapes):
            shown = [m for m in range(len(batch.times[b])) if seen[b, m, index] > LEAST_PIXELS]
            centres, radii = shape.centres + camera, shape.radii
            for m in shown:
                time = batch.times[b][m]
                x, y = centres[time] / (WIDTH / CELLS, HEIGHT / CELLS)
                x, y = (min(max(float(v), 0.0), CELLS - 1e-3) for v in (x, y))
                radius = radii[time] / 12 - 1
                rows.append((
                    b, m, int(y) * CELLS + int(x), index, COLOURS.index(shape.colour),
                    2 * (x % 1) - 1, 2 * (y % 1) - 1, radius, m == shown[-1], x, y,
                ))  # fmt: skip
    table = torch.tensor(rows, dtype=torch.float32)
    clip, picture, token, index_, colour = table[:, :5].long().T
    place = torch.stack([table[:, 9], table[:, 10], table[:, 7]], dim=1)
    last = table[:, 8] > 0
    return Sightings(clip, picture, token, index_, colour, table[:, 5:8], last, place)


def targets_mask(batch: Batch, targets: Sequence[Sequence[int]]) -> Tensor:
    """Masks of the union of each clip's targets, float32 (B, M, S, S)."""
    owners: NDArray[np.int8] = batch.owners.numpy()
    masks = [np.isin(own, list(meant)) for own, meant in zip(owners, targets, strict=True)]
    return torch.from_numpy(np.stack(masks)).float()


def colours_of(scene: Scene, targets: Sequence[int]) -> Tensor:
    """Which colours the targets have, float32 (colours,) of zeros and ones."""
    chosen = torch.zeros(len(COLOURS))
    chosen[[COLOURS.index(scene.shapes[index].colour) for index in targets]] = 1
    return chosen
