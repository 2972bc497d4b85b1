"""Sentences that name motion only, each with the shapes that it means in a scene.

A statement is true, false or unclear (None) of a shape. A sentence is made only where its
statement is unclear of no shape, so the scene alone decides whom it means: one, several, nobody.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from scripts.sample_data.motion import OPPOSITE, STEP, Direction, Kind
from scripts.sample_data.scene import Scene, Shape
from scripts.sample_data.wordings import word

FARTHEST_BY = 1.4  # times the way of the next: less is unclear
OF_ONE = ("farthest", "against", "only mover", "only rester", "last")
BOTH_WAYS: tuple[Kind, ...] = ("turns back", "returns")

Truth = bool | None


@dataclass(frozen=True)
class Sentence:
    """A sentence and the indices of the shapes that it means; none: a no-target sentence."""

    text: str
    targets: tuple[int, ...]
    meaning: str = ""  # the name of its statement
    is_held_out: bool = False  # worded as training never words it


@dataclass(frozen=True)
class Statement:
    """Something that can be said of shapes, and how it is said of one and of several."""

    meaning: str
    holds: Callable[[Shape, Scene], Truth]
    of_one: tuple[str, ...] = ()  # wordings of the sample split; wordings.py has all others
    of_several: tuple[str, ...] = ()  # none: it can be true of one shape only

    @property
    def is_of_one(self) -> bool:
        """Whether it can be true of one shape only."""
        return self.meaning in OF_ONE


def targets(statement: Statement, scene: Scene) -> tuple[int, ...] | None:
    """Return the shapes a statement is true of, or None where it is unclear of any."""
    verdicts = [statement.holds(shape, scene) for shape in scene.shapes]
    if None in verdicts:
        return None
    return tuple(index for index, verdict in enumerate(verdicts) if verdict)


def sentences(scene: Scene, rng: random.Random) -> Iterator[Sentence]:
    """Yield each statement that is clear in the scene, in up to two drawn wordings."""
    for statement in STATEMENTS:
        meant = targets(statement, scene)
        if meant is None or (len(meant) > 1 and not statement.of_several):
            continue
        several = len(meant) > 1 or (not meant and statement.of_several and rng.random() < 0.3)
        wordings = statement.of_several if several else statement.of_one
        for text in rng.sample(wordings, min(2, len(wordings))):
            yield Sentence(text, meant, statement.meaning)


def worded_sentences(
    scene: Scene, rng: random.Random, held_out: Sequence[bool] = (False,)
) -> Iterator[Sentence]:
    """Yield each statement that is clear in the scene, once for each entry of `held_out`."""
    for statement in (*STATEMENTS, *MORE_STATEMENTS):
        meant = targets(statement, scene)
        if meant is None:
            continue
        several = len(meant) > 1 or (not meant and not statement.is_of_one and rng.random() < 0.3)
        for is_held_out in held_out:
            text = word(statement.meaning, rng, several=several, held_out=is_held_out)
            yield Sentence(text, meant, statement.meaning, is_held_out)


# --- statements about one shape ------------------------------------------------------------------
def _does(kind: Kind, shape: Shape, scene: Scene, unclear: tuple[Kind, ...] = ()) -> Truth:
    return None if shape.program.kind in unclear else shape.program.kind == kind


def _heads(direction: Direction, shape: Shape, scene: Scene) -> Truth:
    # What turns back heads both ways, and what circles heads every way.
    kind, own = shape.program.kind, shape.program.direction
    if kind == "circles" or (kind in BOTH_WAYS and own in (direction, OPPOSITE[direction])):
        return None
    return own == direction


def _changes_place(shape: Shape, scene: Scene) -> Truth:
    # Growing and shrinking are motion to some readers and not to others.
    if shape.program.kind in ("grows", "shrinks"):
        return None
    return shape.program.kind != "still"


def _rests(shape: Shape, scene: Scene) -> Truth:
    moves = _changes_place(shape, scene)
    return None if moves is None else not moves


# --- statements about a shape among others -------------------------------------------------------
def _goes_farthest(shape: Shape, scene: Scene) -> Truth:
    if any(one.program.kind in ("leaves", "returns") for one in scene.shapes):
        return None  # nobody sees how far it goes outside the frame
    others = [other.path.length for other in scene.shapes if other is not shape]
    own, rival = shape.path.length, max(others, default=0.0)
    if own >= FARTHEST_BY * rival and own > 0:
        return True
    return False if rival >= FARTHEST_BY * own and rival > 0 else None


def _goes_against_the_others(shape: Shape, scene: Scene) -> Truth:
    others = [other for other in scene.shapes if other is not shape]
    if len(others) < 2 or any(_is_undirected(one) for one in scene.shapes):
        return None
    ways = {other.program.direction for other in others}
    own = shape.program.direction
    return own is not None and ways == {OPPOSITE[own]}


def _starts_last(shape: Shape, scene: Scene) -> Truth:
    # Clear where exactly one waits and all others move from the start.
    late = [one for one in scene.shapes if one.program.kind == "starts late"]
    at_once = [one for one in scene.shapes if one not in late and _changes_place(one, scene)]
    if len(late) > 1 or len(late) + len(at_once) < len(scene.shapes):
        return None
    return shape in late if late else None


def _stops_after(direction: Direction, shape: Shape, scene: Scene) -> Truth:
    return shape.program.kind == "stops" and shape.program.direction == direction


def _is_undirected(shape: Shape) -> bool:
    return shape.program.direction is None or shape.program.kind in BOTH_WAYS


def _alone(holds: Callable[[Shape, Scene], Truth], shape: Shape, scene: Scene) -> Truth:
    # True of the one shape that differs from all others; clear only in scenes of three or more.
    verdicts = {other: holds(other, scene) for other in scene.shapes}
    if None in verdicts.values() or len(verdicts) < 3:
        return None
    return bool(verdicts[shape]) and sum(map(bool, verdicts.values())) == 1


def _heading(direction: Direction) -> Statement:
    where = {
        "right": "to the right",
        "left": "to the left",
        "up": "upwards",
        "down": "downwards",
    }[direction]
    return Statement(
        f"heads to {direction}",
        partial(_heads, direction),
        (f"The one moving {where}", f"The object that moves {where}", f"Shape going {where}"),
        (f"The ones moving {where}", f"All objects that move {where}", f"Shapes going {where}"),
    )


STATEMENTS: tuple[Statement, ...] = (
    *(_heading(direction) for direction in STEP),
    Statement(
        "rests",
        _rests,
        ("The one that stays still", "The object not moving at all", "The shape staying in place"),
        ("The ones that stay still", "The objects not moving at all", "Shapes staying in place"),
    ),
    Statement(
        "stops",
        partial(_does, "stops"),
        ("The one that moves and then stops", "The object coming to a halt halfway"),
        ("The ones that move and then stop", "The objects coming to a halt halfway"),
    ),
    Statement(
        "starts late",
        partial(_does, "starts late"),
        ("The one that waits before it moves", "The object standing still first, then setting off"),
        ("The ones that wait before they move", "Objects standing still first, then setting off"),
    ),
    Statement(
        "turns back",
        partial(_does, "turns back", unclear=("circles", "returns")),
        ("The one that turns back", "The object going one way and then returning"),
        ("The ones that turn back", "The objects going one way and then returning"),
    ),
    Statement(
        "circles",
        partial(_does, "circles"),
        ("The one moving in a circle", "The object going round and round"),
        ("The ones moving in circles", "The objects going round and round"),
    ),
    Statement(
        "grows",
        partial(_does, "grows"),
        ("The one growing larger", "The object that gets bigger and bigger"),
        ("The ones growing larger", "The objects that get bigger and bigger"),
    ),
    Statement(
        "shrinks",
        partial(_does, "shrinks"),
        ("The one becoming smaller", "The object that shrinks over time"),
        ("The ones becoming smaller", "The objects that shrink over time"),
    ),
    Statement(
        "leaves",
        partial(_does, "leaves", unclear=("returns",)),
        ("The one leaving the frame", "The object that moves out of view"),
        ("The ones leaving the frame", "The objects that move out of view"),
    ),
    Statement(
        "farthest",
        _goes_farthest,
        ("The one that travels the farthest", "The object covering the longest way"),
    ),
    Statement(
        "against",
        _goes_against_the_others,
        ("The one moving against all the others", "The object going the opposite way to the rest"),
    ),
    Statement(
        "only mover",
        partial(_alone, _changes_place),
        ("The only one that moves while the others stay still",),
    ),
    Statement(
        "only rester",
        partial(_alone, _rests),
        ("The only one that stays still while the others move",),
    ),
)
# The sample split has no sentences of these; all other splits and training have.
MORE_STATEMENTS: tuple[Statement, ...] = (
    Statement("returns", partial(_does, "returns")),
    Statement("last", _starts_last),
    *(Statement(f"stops to {way}", partial(_stops_after, way)) for way in STEP),
)
