"""Scenes: which shapes there are, what each does, and where each starts.

All decisions come from one `random.Random`, whose numbers are the same in every Python.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from scripts.sample_data.motion import DIRECTED, STEP, Kind, Path, Program, follow
from scripts.sample_data.style import SAMPLE, Style, draw_from

WIDTH, HEIGHT = 192, 128  # pixels
MARGIN = 3.0  # between a shape that stays and the frame's border, in pixels
TRIES = 2000
SWAYS = 0.7  # how often the camera sways to and fro in a clip

OUTLINES = ("disk", "triangle", "square", "pentagon", "hexagon", "star")
COLOURS = (
    (214, 62, 58),
    (52, 112, 208),
    (64, 160, 84),
    (236, 178, 46),
    (150, 84, 184),
    (236, 126, 46),
    (58, 178, 186),
    (226, 104, 158),
)


@dataclass(frozen=True)
class Shape:
    """One object: how it looks, what it does, and where it is; sizes in pixels."""

    outline: str
    colour: tuple[int, int, int]
    radius: float
    angle: float  # in radians
    program: Program
    start: tuple[float, float]  # x, y
    num_frames: int

    @cached_property
    def path(self) -> Path:
        """Where its program leads, relative to its start."""
        return follow(self.program, self.num_frames)

    @property
    def centres(self) -> NDArray[np.float64]:
        """Its centre in every frame, float64 (T, 2), x then y."""
        return np.array(self.start) + self.path.offsets

    @property
    def radii(self) -> NDArray[np.float64]:
        """Its radius in every frame, float64 (T,)."""
        return self.radius * self.path.scales


@dataclass(frozen=True)
class Scene:
    """Shapes, later ones in front of earlier ones, before a background grown from a seed."""

    shapes: tuple[Shape, ...]
    num_frames: int
    background_seed: int
    look: str = SAMPLE.look  # the family of the background
    drift: tuple[float, float] = (0.0, 0.0)  # of the background over the clip: x, y in pixels
    sway: float = 0.0  # of the camera, to each side, in pixels

    @property
    def camera(self) -> NDArray[np.float64]:
        """What the camera adds to every place in every frame, float64 (T, 2), x then y."""
        phase = 2 * math.pi * SWAYS * np.linspace(0.0, 1.0, self.num_frames)
        return self.sway * np.stack([np.sin(phase), 1 - np.cos(phase)], axis=1) / 2

    @property
    def ground(self) -> NDArray[np.float64]:
        """Where the background is in every frame, float64 (T, 2), x then y."""
        time = np.linspace(-0.5, 0.5, self.num_frames)
        return self.camera + time[:, None] * np.array(self.drift)


def draw_scene(
    rng: random.Random, num_frames: int, deeds: Sequence[Kind], style: Style = SAMPLE
) -> Scene:
    """Draw a scene in which the n-th shape does the n-th deed.

    Raises RuntimeError when the shapes find no place beside each other.
    """
    for _ in range(TRIES):
        colours = rng.sample(COLOURS, len(deeds))
        shapes = [
            _draw_shape(rng, kind, colour, num_frames, style)
            for kind, colour in zip(deeds, colours, strict=True)
        ]
        if all(_stays_clear(a, b, style.clearance) for a, b in combinations(shapes, 2)):
            seed = rng.randrange(2**32)
            return Scene(tuple(shapes), num_frames, seed, style.look, *_draw_camera(rng, style))
    raise RuntimeError(f"no place for shapes that do {deeds} after {TRIES} tries")


def _draw_camera(rng: random.Random, style: Style) -> tuple[tuple[float, float], float]:
    if style.is_steady:
        return (0.0, 0.0), 0.0
    drift = (rng.uniform(-style.drift, style.drift), rng.uniform(-style.drift, style.drift))
    return drift, rng.uniform(0, style.sway)


def _draw_shape(
    rng: random.Random, kind: Kind, colour: tuple[int, int, int], num_frames: int, style: Style
) -> Shape:
    radius = rng.uniform(*style.radius)
    program = _draw_program(rng, kind, style)
    path = follow(program, num_frames)
    # Room for the whole way; what leaves needs room for its start only.
    way = np.zeros((1, 2)) if kind in ("leaves", "returns") else path.offsets
    room = radius * path.scales.max() + MARGIN
    (left, top), (right, bottom) = way.min(axis=0), way.max(axis=0)
    x = rng.uniform(room - left, WIDTH - room - right)
    y = rng.uniform(room - top, HEIGHT - room - bottom)
    if kind in ("leaves", "returns"):
        program = _leave(program, x, y, radius)
    angle = rng.uniform(0, 2 * math.pi)
    return Shape(rng.choice(OUTLINES), colour, radius, angle, program, (x, y), num_frames)


def _draw_program(rng: random.Random, kind: Kind, style: Style) -> Program:
    if kind == "circles":
        return Program(kind, reach=draw_from(rng, style.circle))
    if kind not in DIRECTED:
        return Program(kind)
    direction = rng.choice(tuple(STEP))
    along = WIDTH if STEP[direction][0] else HEIGHT
    reach = draw_from(rng, style.reach) * along
    return Program(kind, direction, reach, draw_from(rng, style.turning_point))


def _leave(program: Program, x: float, y: float, radius: float) -> Program:
    # Far enough to be wholly outside for about a third of the clip.
    assert program.direction is not None
    to_border = {"right": WIDTH - x, "left": x, "down": HEIGHT - y, "up": y}[program.direction]
    return replace(program, reach=1.5 * (to_border + radius + MARGIN))


def _stays_clear(a: Shape, b: Shape, clearance: float) -> bool:
    distances = np.hypot(*(a.centres - b.centres).T)
    return bool((distances >= clearance * (a.radii + b.radii)).all())
