"""What the language half is shown and asked more often than chance would have it.

Some statements hardly ever hold in a drawn scene ("moving against all the others"), some mean
nobody nearly always ("moving left, then stopping"): a model that learns from scenes as they come
learns to say that there is none. Scenes of rare casts and weights of sentences even it out.
"""

import random
from collections import Counter
from collections.abc import Sequence
from functools import cache

from scripts.sample_data.motion import Kind
from scripts.sample_data.scene import Scene
from scripts.sample_data.sentences import STATEMENTS, Sentence, targets, worded_sentences
from scripts.sample_data.style import TRAINING
from scripts.sample_data.write_split import FRAMES, draw_any_scene

RARE, AGAINST = 0.2, 0.08  # shares of scenes with a rare cast; where one goes against the others
RARE_CASTS: tuple[tuple[Kind, ...], ...] = (
    ("still", "still", "moves"), ("still", "moves", "still"), ("still", "still", "leaves"),
    ("still", "still", "turns back"), ("moves", "still", "moves"), ("stops", "still", "circles"),
    ("stops", "stops"), ("stops", "moves", "stops"), ("stops", "leaves"),
    ("leaves", "moves", "returns"), ("leaves", "still"), ("leaves", "leaves", "moves"),
)  # fmt: skip
CROWDS: tuple[tuple[Kind, ...], ...] = (
    ("moves", "moves", "moves"), ("moves", "moves", "leaves"), ("moves", "stops", "moves"),
)  # fmt: skip
TRIES = 8  # for a crowd in which one goes against the others
COUNTED = 1500  # scenes from which weights are taken
HEAVIEST = 8.0  # times the lightest weight
_AGAINST = next(statement for statement in STATEMENTS if statement.meaning == "against")


def draw_lesson(rng: random.Random) -> Scene:
    """Draw a scene for training, of any length that the splits have."""
    num_frames, share = rng.randint(*FRAMES), rng.random()
    if share < AGAINST:
        scene = draw_any_scene(rng, num_frames, TRAINING, rng.choice(CROWDS))
        for _ in range(TRIES):
            if targets(_AGAINST, scene):
                break
            scene = draw_any_scene(rng, num_frames, TRAINING, rng.choice(CROWDS))
        return scene
    if share < AGAINST + RARE:
        return draw_any_scene(rng, num_frames, TRAINING, rng.choice(RARE_CASTS))
    return draw_any_scene(rng, num_frames, TRAINING)


def draw_sentence(sentences: Sequence[Sentence], rng: random.Random) -> Sentence:
    """Draw one of a scene's sentences, a rare meaning rather than a common one."""
    found = weights()
    heaviness = [found.get((s.meaning, bool(s.targets)), HEAVIEST) for s in sentences]
    return rng.choices(sentences, heaviness)[0]


@cache
def weights() -> dict[tuple[str, bool], float]:
    """How much a sentence weighs, by meaning and by whether it means anybody: the rarer, the more.

    Counted in scenes drawn with a seed of their own, so that every run has the same.
    """
    rng = random.Random("weights of sentences")
    counts: Counter[tuple[str, bool]] = Counter()
    for _ in range(COUNTED):
        scene = draw_lesson(rng)
        counts.update((s.meaning, bool(s.targets)) for s in worded_sentences(scene, rng))
    most = {meant: max(n for (_, m), n in counts.items() if m == meant) for meant in (True, False)}
    return {key: min(HEAVIEST, most[key[1]] / count) for key, count in counts.items()}
