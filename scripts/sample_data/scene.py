"""Scenes: which shapes there are, what each does, and where each starts.

All decisions come from one `random.Random`, whose numbers are the same in every Python.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from scripts.sample_data.motion import DIRECTED, STEP, Direction, Kind, Path, Program, follow

WIDTH, HEIGHT = 192, 128  # pixels
MARGIN = 3.0  # between a shape that stays and the frame's border, in pixels
CLEARANCE = 0.95  # of the sum of two radii: shapes may touch, but hardly cover each other
TRIES = 2000

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

    @property
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


def draw_scene(rng: random.Random, num_frames: int, deeds: Sequence[Kind]) -> Scene:
    """Draw a scene in which the n-th shape does the n-th deed.

    Raises RuntimeError when the shapes find no place beside each other.
    """
    for _ in range(TRIES):
        colours = rng.sample(COLOURS, len(deeds))
        shapes = [
            _draw_shape(rng, kind, colour, num_frames)
            for kind, colour in zip(deeds, colours, strict=True)
        ]
        if all(_stays_clear(a, b) for a, b in combinations(shapes, 2)):
            return Scene(tuple(shapes), num_frames, rng.randrange(2**32))
    raise RuntimeError(f"no place for shapes that do {deeds} after {TRIES} tries")


def _draw_shape(
    rng: random.Random, kind: Kind, colour: tuple[int, int, int], num_frames: int
) -> Shape:
    radius = rng.uniform(10, 15)
    program = _draw_program(rng, kind)
    path = follow(program, num_frames)
    # Room for the whole way; what leaves needs room for its start only.
    way = np.zeros((1, 2)) if kind == "leaves" else path.offsets
    room = radius * path.scales.max() + MARGIN
    (left, top), (right, bottom) = way.min(axis=0), way.max(axis=0)
    x = rng.uniform(room - left, WIDTH - room - right)
    y = rng.uniform(room - top, HEIGHT - room - bottom)
    if program.kind == "leaves" and program.direction is not None:
        program = _leave(program.direction, x, y, radius)
    angle = rng.uniform(0, 2 * math.pi)
    return Shape(rng.choice(OUTLINES), colour, radius, angle, program, (x, y), num_frames)


def _draw_program(rng: random.Random, kind: Kind) -> Program:
    if kind == "circles":
        return Program(kind, reach=rng.uniform(16, 24))
    if kind not in DIRECTED:
        return Program(kind)
    direction = rng.choice(tuple(STEP))
    along = WIDTH if STEP[direction][0] else HEIGHT
    return Program(kind, direction, reach=rng.uniform(0.35, 0.6) * along)


def _leave(direction: Direction, x: float, y: float, radius: float) -> Program:
    # Far enough to be wholly outside for the last third of the clip.
    to_border = {"right": WIDTH - x, "left": x, "down": HEIGHT - y, "up": y}[direction]
    return Program("leaves", direction, reach=1.5 * (to_border + radius + MARGIN))


def _stays_clear(a: Shape, b: Shape) -> bool:
    distances = np.hypot(*(a.centres - b.centres).T)
    return bool((distances >= CLEARANCE * (a.radii + b.radii)).all())
