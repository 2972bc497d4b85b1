"""A scene becomes frames and true masks: outlines by formula, smoothed by supersampling."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scripts.sample_data.scene import HEIGHT, WIDTH, Scene, Shape

SAMPLES = 4  # per pixel and side
CORNERS = {"triangle": 3, "square": 4, "pentagon": 5, "hexagon": 6}
STAR_POINTS, STAR_WAIST = 5, 0.45  # the waist as a share of the radius
SHADE = 0.25  # how much darker a shape is at its lower right than at its upper left
BORDER = 16  # pixels of a moving background beyond each side of the frame


@dataclass(frozen=True)
class Look:
    """A family of backgrounds: its tints, and its texture as (cells across, strength)."""

    darkest: float  # level of the darkest tint, 0..255
    tints: float  # how far tints reach above it
    least_spread: float  # 0..1: how much of that reach even the faintest tint has
    texture: tuple[tuple[int, float], ...]


LOOKS = {
    "calm": Look(95.0, 75.0, 0.4, ((3, 26.0), (9, 12.0))),
    "vivid": Look(70.0, 60.0, 0.8, ((5, 30.0), (14, 14.0))),  # darker, stronger and finer
}


def render(scene: Scene) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return frames, RGB uint8 (T, H, W, 3), and visible masks, bool (shapes, T, H, W).

    A pixel belongs to the foremost shape that covers at least half of it.
    """
    frames = np.empty((scene.num_frames, HEIGHT, WIDTH, 3), np.uint8)
    masks = np.zeros((len(scene.shapes), scene.num_frames, HEIGHT, WIDTH), bool)
    behind = background(scene.background_seed, scene.look, 0 if is_steady(scene) else BORDER)
    camera = scene.camera
    for t in range(scene.num_frames):
        picture = frame_of(behind, scene, t)
        for index, shape in enumerate(scene.shapes):
            cover = coverage(shape, t, camera[t])
            paint = _paint(shape, t, camera[t])
            picture += cover[..., None] * (paint - picture)
            masks[:index, t] &= cover < 0.5
            masks[index, t] = cover >= 0.5
        frames[t] = np.rint(picture).astype(np.uint8)
    return frames, masks


def is_steady(scene: Scene) -> bool:
    """Whether the background stands still."""
    return not scene.sway and scene.drift == (0.0, 0.0)


def frame_of(behind: NDArray[np.float64], scene: Scene, t: int) -> NDArray[np.float64]:
    """Cut the frame (H, W, 3) at time `t` out of a background with or without a border."""
    if len(behind) == HEIGHT:
        return behind.copy()
    right, down = np.rint(scene.ground[t]).astype(int)
    top, left = BORDER - down, BORDER - right
    return behind[top : top + HEIGHT, left : left + WIDTH].copy()


def coverage(
    shape: Shape, t: int, camera: NDArray[np.float64] | tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float64]:
    """Return how much of every pixel a shape covers in frame `t`, float64 (H, W) in 0..1."""
    (x, y), radius = shape.centres[t] + camera, shape.radii[t]
    cover = np.zeros((HEIGHT, WIDTH))
    left, right = max(int(x - radius) - 1, 0), min(int(x + radius) + 2, WIDTH)
    top, bottom = max(int(y - radius) - 1, 0), min(int(y + radius) + 2, HEIGHT)
    if left >= right or top >= bottom:
        return cover  # outside the frame
    xs = left + (np.arange((right - left) * SAMPLES) + 0.5) / SAMPLES - x
    ys = top + (np.arange((bottom - top) * SAMPLES) + 0.5) / SAMPLES - y
    distance = np.hypot(xs[None, :], ys[:, None])
    bearing = np.arctan2(ys[:, None], xs[None, :]) - shape.angle
    inside = distance <= radius * rim(shape.outline, bearing)
    blocks = inside.reshape(bottom - top, SAMPLES, right - left, SAMPLES)
    cover[top:bottom, left:right] = blocks.mean(axis=(1, 3))
    return cover


def background(seed: int, look: str = "calm", border: int = 0) -> NDArray[np.float64]:
    """Return a texture, float64 (H + 2 border, W + 2 border, 3) in 0..255, from a seed."""
    family = LOOKS[look]
    rng = np.random.default_rng(seed)
    spread = rng.random(3) * (family.least_spread + (1 - family.least_spread) * rng.random())
    height, width = HEIGHT + 2 * border, WIDTH + 2 * border
    texture = np.zeros((height, width))
    for cells, strength in family.texture:
        coarse = (rng.random((cells * 2 // 3 + 1, cells + 1)) - 0.5).astype(np.float32)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        texture += strength * np.asarray(smooth, np.float64)
    return np.clip(family.darkest + family.tints * spread + texture[..., None], 0, 255)


def rim(outline: str, bearing: NDArray[np.float64]) -> NDArray[np.float64]:
    # Distance from the centre to the outline in each direction, as a share of the radius.
    if outline == "disk":
        return np.ones_like(bearing)
    if outline == "star":
        sector = np.abs((bearing * STAR_POINTS / np.pi) % 2 - 1)  # 0 at a waist, 1 at a point
        return STAR_WAIST + (1 - STAR_WAIST) * sector
    half_sector = np.pi / CORNERS[outline]
    return np.cos(half_sector) / np.cos(bearing % (2 * half_sector) - half_sector)


def _paint(shape: Shape, t: int, camera: NDArray[np.float64]) -> NDArray[np.float64]:
    (x, y), radius = shape.centres[t] + camera, shape.radii[t]
    slope = (np.arange(WIDTH) - x)[None, :] + (np.arange(HEIGHT) - y)[:, None]
    light = 1 - SHADE / 2 * np.clip(slope / radius, -1, 1)
    return np.clip(light[..., None] * np.array(shape.colour, float), 0, 255)
