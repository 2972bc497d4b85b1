"""Scenes as training sees them: squashed to a square at once, edges smoothed by distance.

About ten times faster than scripts.sample_data.render, which draws the clips that are evaluated;
both take outlines, colours and places from the same scene.
"""

import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scripts.sample_data.render import BORDER, SHADE, background, rim
from scripts.sample_data.scene import HEIGHT, WIDTH, Scene
from scripts.train_sample_model.sizes import SIDE

ACROSS, DOWN = WIDTH / SIDE, HEIGHT / SIDE  # scene pixels in one picture pixel
NUM_BACKGROUNDS = 200
NOISE = 3.0  # levels of 255
NOBODY = -1


class Painter:
    """Draws frames of scenes in front of a fixed set of backgrounds."""

    def __init__(self, look: str = "calm") -> None:
        width, height = (round((n + 2 * BORDER) / k) for n, k in ((WIDTH, ACROSS), (HEIGHT, DOWN)))
        self.backgrounds = [
            _squash(background(seed, look, BORDER), width, height)
            for seed in range(NUM_BACKGROUNDS)
        ]
        grain = np.random.default_rng(0).normal(0, NOISE, (2 * SIDE, 2 * SIDE, 1))
        self.grain = grain.astype(np.float32)

    def paint(
        self, scene: Scene, times: list[int], rng: random.Random
    ) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
        """Return frames, RGB uint8 (M, S, S, 3), and whose each pixel is, int8 (M, S, S)."""
        frames = np.empty((len(times), SIDE, SIDE, 3), np.uint8)
        owners = np.full((len(times), SIDE, SIDE), NOBODY, np.int8)
        behind = self.backgrounds[scene.background_seed % NUM_BACKGROUNDS]
        ground = scene.ground
        places = [(shape.centres + scene.camera, shape.radii) for shape in scene.shapes]
        for m, time in enumerate(times):
            left = round((BORDER - ground[time, 0]) / ACROSS)
            top = round((BORDER - ground[time, 1]) / DOWN)
            u, v = rng.randrange(SIDE), rng.randrange(SIDE)
            picture = (
                behind[top : top + SIDE, left : left + SIDE]
                + self.grain[u : u + SIDE, v : v + SIDE]
            )
            for index, shape in enumerate(scene.shapes):
                centres, radii = places[index]
                _add(picture, owners[m], index, shape.outline, shape.angle,
                     np.array(shape.colour, np.float32), centres[time], radii[time])  # fmt: skip
            frames[m] = np.clip(picture, 0, 255)
        return frames, owners


def _add(
    picture: NDArray[np.float32], owners: NDArray[np.int8], index: int, outline: str, angle: float,
    colour: NDArray[np.float32], centre: NDArray[np.float64], radius: float,
) -> None:  # fmt: skip
    x, y = centre
    left, right = (int(np.clip((x + k) / ACROSS, 0, SIDE)) for k in (-radius - 2, radius + 3))
    top, bottom = (int(np.clip((y + k) / DOWN, 0, SIDE)) for k in (-radius - 2, radius + 3))
    if left >= right or top >= bottom:
        return
    xs = ((np.arange(left, right) + 0.5) * ACROSS - x)[None, :]
    ys = ((np.arange(top, bottom) + 0.5) * DOWN - y)[:, None]
    distance = np.hypot(xs, ys)
    edge = radius * rim(outline, np.arctan2(ys, xs) - angle)
    cover = np.clip(0.5 + (edge - distance) / ACROSS, 0, 1).astype(np.float32)
    light = 1 - SHADE / 2 * np.clip((xs + ys) / radius, -1, 1).astype(np.float32)
    part = picture[top:bottom, left:right]
    part += cover[..., None] * (light[..., None] * colour - part)
    owners[top:bottom, left:right][cover >= 0.5] = index


def _squash(picture: NDArray[np.float64], width: int, height: int) -> NDArray[np.float32]:
    levels = [
        np.asarray(Image.fromarray(level.astype(np.float32)).resize((width, height)))
        for level in np.moveaxis(picture, -1, 0)
    ]
    return np.stack(levels, axis=-1)
