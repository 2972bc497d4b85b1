"""Motion programs: what a shape does over a clip, as positions and sizes for every frame.

Pure functions of numbers. A program says where a shape goes relative to where it starts;
`scene.py` chooses the start.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal[
    "still",
    "moves",
    "stops",  # moves, then rests
    "starts late",  # rests, then moves
    "turns back",
    "leaves",  # moves out of the frame and stays out
    "returns",  # moves out of the frame and comes back
    "circles",
    "grows",
    "shrinks",
]
Direction = Literal["right", "left", "up", "down"]

STEP: dict[Direction, tuple[int, int]] = {  # x to the right, y downwards
    "right": (1, 0),
    "left": (-1, 0),
    "up": (0, -1),
    "down": (0, 1),
}
OPPOSITE: dict[Direction, Direction] = {
    "right": "left",
    "left": "right",
    "up": "down",
    "down": "up",
}
DIRECTED: tuple[Kind, ...] = ("moves", "stops", "starts late", "turns back", "leaves", "returns")

TURNING_POINT = 0.5  # of the clip: where shapes stop, start or turn back
SIZE_CHANGE = 2.2  # from the smallest to the largest size
TURNS = 1.25  # how often a circling shape goes round


@dataclass(frozen=True)
class Program:
    """What a shape does; `reach` is how far, in pixels (for "circles": the circle's radius).

    `turning_point` is when it stops, starts or turns back, as a share of the clip.
    """

    kind: Kind
    direction: Direction | None = None
    reach: float = 0.0
    turning_point: float = TURNING_POINT

    def __post_init__(self) -> None:
        if (self.kind in DIRECTED) != (self.direction is not None):
            raise ValueError(f"{self.kind!r} with direction {self.direction!r}")


@dataclass(frozen=True)
class Path:
    """Offsets from the start, float64 (T, 2), x then y in pixels, and scales, float64 (T,)."""

    offsets: NDArray[np.float64]
    scales: NDArray[np.float64]

    @property
    def length(self) -> float:
        """How far the shape travels in all, in pixels."""
        return float(np.hypot(*np.diff(self.offsets, axis=0).T).sum())


def follow(program: Program, num_frames: int) -> Path:
    """Return where a program leads in `num_frames` frames (at least 2)."""
    time = np.linspace(0.0, 1.0, num_frames)
    scales = np.ones(num_frames)
    offsets = np.zeros((num_frames, 2))
    if program.direction is not None:
        share = _share_of_reach(program.kind, time, program.turning_point)
        offsets = share[:, None] * program.reach * np.array(STEP[program.direction])
    elif program.kind == "circles":
        angle = 2 * math.pi * TURNS * time
        circle = np.stack([np.cos(angle) - 1, np.sin(angle)], axis=1)  # starts at the origin
        offsets = program.reach * circle
    elif program.kind in ("grows", "shrinks"):
        exponent = time - 0.5 if program.kind == "grows" else 0.5 - time
        scales = SIZE_CHANGE**exponent
    return Path(offsets, scales)


def _share_of_reach(
    kind: Kind, time: NDArray[np.float64], turning_point: float
) -> NDArray[np.float64]:
    # How much of the way is done at each time, 0..1.
    if kind == "stops":
        return np.minimum(time / turning_point, 1.0)
    if kind == "starts late":
        return np.maximum(time - turning_point, 0.0) / (1 - turning_point)
    if kind in ("turns back", "returns"):
        return np.minimum(time / turning_point, (1 - time) / (1 - turning_point))
    return time
