"""Styles: what scenes are drawn from; the test clips have values that no other clip has.

An interval is (least, most). Where a style has several, one is drawn first: so the values of the
test style lie in gaps of the training style, and no test value was ever trained on.
"""

import random
from dataclasses import dataclass

Interval = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """How shapes may move, and in front of what."""

    radius: Interval  # of shapes, pixels
    reach: tuple[Interval, ...]  # of a directed motion, as a share of the frame's side
    circle: tuple[Interval, ...]  # radius of a circle, pixels
    turning_point: tuple[Interval, ...]  # when shapes stop, start or turn back, share of the clip
    look: str  # family of backgrounds: a name in render.LOOKS
    # Least distance of two shapes as a share of the sum of their radii. Near 1 they may touch;
    # smaller values let them cross and hide each other in part.
    clearance: float
    drift: float = 0.0  # of the background over a clip, at most, pixels
    sway: float = 0.0  # of the camera, at most, pixels

    @property
    def is_steady(self) -> bool:
        """Whether background and camera stand still in every scene."""
        return self.drift == 0 and self.sway == 0


SAMPLE = Style(
    radius=(10, 15), reach=((0.35, 0.6),), circle=((16, 24),), turning_point=((0.5, 0.5),),
    look="calm", clearance=0.95,
)  # fmt: skip
TRAINING = Style(
    radius=(10, 15), reach=((0.35, 0.42), (0.47, 0.6)), circle=((16, 19), (21, 24)),
    turning_point=((0.42, 0.48), (0.52, 0.58)), look="calm", clearance=0.8, drift=8.0, sway=2.0,
)  # fmt: skip
TEST = Style(
    radius=(10, 15), reach=((0.42, 0.47),), circle=((19, 21),), turning_point=((0.48, 0.52),),
    look="vivid", clearance=0.7, drift=12.0, sway=2.5,
)  # fmt: skip


def draw_from(rng: random.Random, intervals: tuple[Interval, ...]) -> float:
    """Draw a value; a single value that leaves no choice uses up no random number."""
    interval = rng.choice(intervals) if len(intervals) > 1 else intervals[0]
    low, high = interval
    return low if low == high else rng.uniform(low, high)
