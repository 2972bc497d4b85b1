"""How meanings are worded: phrases that training knows, and phrases held out for the test clips.

A held-out phrase is made of words that training knows, in a combination that it never sees: a model
that learns its language from nothing can be asked for no more.
"""

import random
from collections.abc import Iterator

SUBJECTS = (  # of one, of several
    ("The one", "The ones"),
    ("The object", "The objects"),
    ("The shape", "The shapes"),
    ("Shape", "Shapes"),
    ("The object", "All objects"),
)
WHERE = {
    "right": ("to the right", "right"),
    "left": ("to the left", "left"),
    "up": ("upwards", "up"),
    "down": ("downwards", "down"),
}
HEADING = ("moving", "going", "heading", "travelling", "that moves", "that goes")
# Combinations (verb and place, counted in that order) that one direction or another holds out;
# the others, which the sample split uses too, are known of every direction.
MAY_BE_HELD_OUT = (1, 3, 4, 5, 6, 7, 9, 11)

# "/" separates what is said of one from what is said of several; phrases without it serve both.
KNOWN: dict[str, tuple[str, ...]] = {
    "rests": ("that stays still/that stay still", "not moving at all", "staying in place",
              "standing still", "that does not move/that do not move"),
    "stops": ("that moves and then stops/that move and then stop", "coming to a halt halfway",
              "moving first, then stopping", "that comes to a stop/that come to a stop"),
    "starts late": ("that waits before it moves/that wait before they move",
                    "standing still first, then setting off", "starting to move late",
                    "waiting first, then moving", "that starts late/that start late"),
    "turns back": ("that turns back/that turn back", "going one way and then returning",
                   "turning back halfway", "that goes one way and comes back/"
                   "that go one way and come back"),
    "circles": ("moving in a circle/moving in circles", "going round and round",
                "that goes round in a circle/that go round in circles"),
    "grows": ("growing larger", "that gets bigger and bigger/that get bigger and bigger",
              "becoming bigger", "that grows/that grow"),
    "shrinks": ("becoming smaller", "that shrinks over time/that shrink over time",
                "getting smaller", "that gets smaller and smaller/that get smaller and smaller"),
    "leaves": ("leaving the frame", "that moves out of view/that move out of view",
               "going out of the frame", "that leaves the frame for good/"
               "that leave the frame for good"),
    "returns": ("that leaves and comes back/that leave and come back",
                "leaving the frame and then returning", "going out of view and coming back"),
    "farthest": ("that travels the farthest", "covering the longest way", "going the farthest"),
    "against": ("moving against all the others", "going the opposite way to the rest",
                "that moves the opposite way to all the others"),
    "last": ("that sets off last", "starting to move last", "that is the last to move"),
    "only mover": ("that moves while the others stay still", "moving while the rest stay still"),
    "only rester": ("that stays still while the others move", "not moving while the rest move"),
}  # fmt: skip
HELD_OUT: dict[str, tuple[str, ...]] = {
    "rests": ("that stays in place/that stay in place", "staying still"),
    "stops": ("coming to a stop halfway", "that moves first and then stops/"
              "that move first and then stop"),
    "starts late": ("waiting, then setting off", "that starts to move late/"
                    "that start to move late"),
    "turns back": ("going one way, then coming back", "that turns back halfway/"
                   "that turn back halfway"),
    "circles": ("going in a circle/going in circles", "moving round and round"),
    "grows": ("becoming larger", "that grows larger/that grow larger"),
    "shrinks": ("getting smaller and smaller", "that shrinks/that shrink"),
    "leaves": ("moving out of the frame", "going out of view for good"),
    "returns": ("leaving and coming back", "that leaves the frame and comes back/"
                "that leave the frame and come back"),
    "farthest": ("travelling the farthest", "that goes the longest way"),
    "against": ("going against all the others", "moving the opposite way to the rest"),
    "last": ("setting off last", "that starts to move last"),
    "only mover": ("moving while the others stay in place",),
    "only rester": ("staying in place while the others move",),
}  # fmt: skip


def phrases(meaning: str, *, several: bool, held_out: bool) -> tuple[str, ...]:
    """Return the ways to say a meaning, without its subject.

    For each direction other combinations of a verb and a place are held out: "travelling left" is
    one, and "travelling up" is known.
    """
    kind, _, direction = meaning.partition(" to ")
    if direction:
        both = _directed(kind, direction)
        chosen = both[1] if held_out else both[0]
    else:
        chosen = (HELD_OUT if held_out else KNOWN)[kind]
    return tuple(phrase.split("/")[-1 if several else 0] for phrase in chosen)


def word(meaning: str, rng: random.Random, *, several: bool, held_out: bool) -> str:
    """Draw a subject and a phrase."""
    subject = rng.choice(SUBJECTS)[several]
    if meaning.startswith("only "):
        subject = f"The only {subject.split()[-1].lower()}"
    return f"{subject} {rng.choice(phrases(meaning, several=several, held_out=held_out))}"


def _directed(kind: str, direction: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Known and held-out phrases of "heads to ..." and "stops to ..."."""
    hidden = MAY_BE_HELD_OUT[list(WHERE).index(direction) :: len(WHERE)]
    pairs = [(verb, place) for verb in HEADING for place in WHERE[direction]]
    known: list[str] = []
    held_out: list[str] = []
    for index, (verb, place) in enumerate(pairs):
        phrase = f"{verb} {place}/{_of_several(verb)} {place}"
        if kind == "stops":
            phrase = "/".join(f"{part}, then {_stopping(part)}" for part in phrase.split("/"))
        (held_out if index in hidden else known).append(phrase)
    return tuple(known), tuple(held_out)


def _of_several(verb: str) -> str:
    return {"that moves": "that move", "that goes": "that go"}.get(verb, verb)


def _stopping(phrase: str) -> str:
    first = phrase.split()[1] if phrase.startswith("that ") else "ing"
    return {"moves": "stops", "goes": "stops", "move": "stop", "go": "stop"}.get(first, "stopping")


def all_phrases(*, held_out: bool) -> Iterator[str]:
    """Every phrase of one side, for one and for several."""
    directed = [f"{kind} to {direction}" for kind in ("heads", "stops") for direction in WHERE]
    for meaning in (*KNOWN, *directed):
        for several in (False, True):
            yield from phrases(meaning, several=several, held_out=held_out)
