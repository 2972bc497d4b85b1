"""A split of scenes in MeViS's own layout: frames, sentences and true masks on disk."""

import hashlib
import io
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from scripts.sample_data.motion import Kind
from scripts.sample_data.render import render
from scripts.sample_data.scene import HEIGHT, WIDTH, Scene, draw_scene
from scripts.sample_data.sentences import Sentence, sentences, worded_sentences
from scripts.sample_data.style import SAMPLE, TEST, TRAINING, Style

META, MASKS = "meta_expressions.json", "mask_dict.json"
JPEG_QUALITY = 72
SENTENCES_PER_CLIP = 4
FRAMES = (12, 40)  # fewest and most frames of a clip
NO_TARGET_EVERY = 3  # clips: in every third one, a sentence means nobody

# What the shapes of a clip do; clips take their turn in this order, so that all deeds occur.
CASTS: tuple[tuple[Kind, ...], ...] = (
    ("moves", "still", "moves"),
    ("leaves", "moves", "still"),
    ("turns back", "moves", "stops"),
    ("circles", "still"),
    ("starts late", "stops", "still"),
    ("grows", "moves", "shrinks"),
    ("moves", "moves", "moves"),
    ("still", "still", "moves"),
    ("leaves", "turns back", "moves", "still"),
    ("starts late", "moves"),
)


# What shapes of other splits do; moving has four directions and so comes more often.
DEEDS: tuple[Kind, ...] = (
    "still", "moves", "moves", "moves", "stops", "stops", "starts late", "starts late",
    "turns back", "leaves", "returns", "circles", "grows", "shrinks",
)  # fmt: skip
REPEATED = 0.3  # share of shapes that do what another one does


@dataclass(frozen=True)
class Clip:
    """A scene with its name and its sentences."""

    name: str
    scene: Scene
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True)
class SplitPlan:
    """A named split: everything that decides its bytes."""

    folder: str  # its name in a data root
    num_clips: int
    seed: int
    style: Style
    held_out: tuple[bool, ...] = (False,)  # wordings: training's own, held-out ones
    num_frames: tuple[int, int] = FRAMES  # fewest and most of a clip
    digest: str = ""  # SHA-256 of its two JSON files; the sample split is compared byte by byte


PLANS = {
    "sample": SplitPlan("valid_u", 10, 7, SAMPLE),
    "choose": SplitPlan(  # for decisions while training
        "choose", 60, 101, TRAINING,
        digest="4607d719a7f6d70712b663466db7d61615c52f7b5d031458d34fde6adf2e6082",
    ),
    "test": SplitPlan(  # for reported numbers only; nothing is chosen by it
        "test", 200, 202, TEST, (False, True),
        digest="1e55c7ac533a0228566df7aca004094dd9f3e997983caa69b62679ab34375f3a",
    ),
    "long": SplitPlan(  # clips longer than any that was trained on
        "long", 50, 303, TEST, (False, True), (60, 80),
        digest="74a9824a34d0943583f851b19ccb05e0f9878464b8cd46291e341ca9db76f397",
    ),
}  # fmt: skip


def draw_clips(num_clips: int, seed: int) -> Iterator[Clip]:
    """Yield clips of the sample split; the n-th is the same however many are asked for."""
    for number in range(num_clips):
        rng = random.Random(f"{seed}/{number}")
        num_frames = rng.randint(*FRAMES)
        scene = draw_scene(rng, num_frames, CASTS[number % len(CASTS)])
        chosen = _choose(list(sentences(scene, rng)), _wants_no_target(number), rng)
        yield Clip(f"clip_{number:02d}", scene, chosen)


def draw_plan(plan: SplitPlan) -> Iterator[Clip]:
    """Yield the clips of a split."""
    if plan.style is SAMPLE:
        yield from draw_clips(plan.num_clips, plan.seed)
        return
    for number in range(plan.num_clips):
        rng = random.Random(f"{plan.folder}/{plan.seed}/{number}")
        scene = draw_any_scene(rng, rng.randint(*plan.num_frames), plan.style)
        candidates = list(worded_sentences(scene, rng, plan.held_out))
        rng.shuffle(candidates)
        chosen = _choose(candidates, _wants_no_target(number), rng)
        yield Clip(f"clip_{number:03d}", scene, chosen)


def draw_any_scene(
    rng: random.Random, num_frames: int, style: Style, cast: tuple[Kind, ...] | None = None
) -> Scene:
    """Draw what the shapes do (or let them do what `cast` says), where they find place."""
    while True:
        try:
            return draw_scene(rng, num_frames, cast or draw_cast(rng), style)
        except RuntimeError:  # too crowded: another cast, other places
            continue


def draw_cast(rng: random.Random) -> tuple[Kind, ...]:
    """Draw two to four deeds; some repeat an earlier one, so that sentences mean several."""
    cast: list[Kind] = []
    for _ in range(rng.choice((2, 3, 3, 4))):
        repeats = cast and rng.random() < REPEATED
        cast.append(rng.choice(cast if repeats else DEEDS))
    return tuple(cast)


def _wants_no_target(number: int) -> bool:
    return number % NO_TARGET_EVERY == NO_TARGET_EVERY - 1


def _choose(
    candidates: Sequence[Sentence], wants_no_target: bool, rng: random.Random
) -> tuple[Sentence, ...]:
    meant = [sentence for sentence in candidates if sentence.targets]
    nobody = [sentence for sentence in candidates if not sentence.targets]
    rng.shuffle(meant)
    # Sentences that mean different shapes first; then those that mean the same in other words.
    first_of = {sentence.targets: sentence for sentence in reversed(meant)}
    different = [sentence for sentence in meant if first_of[sentence.targets] is sentence]
    again = [sentence for sentence in meant if first_of[sentence.targets] is not sentence]
    last = [rng.choice(nobody)] if wants_no_target and nobody else []
    return (*[*different, *again][: SENTENCES_PER_CLIP - len(last)], *last)


def split_files(clips: Iterable[Clip]) -> Iterator[tuple[str, bytes]]:
    """Yield the path inside the split and the content of every file.

    JSON files have the same bytes everywhere; JPEG bytes depend on Pillow's libjpeg.
    """
    videos: dict[str, Any] = {}
    mask_dict: dict[str, list[dict[str, Any] | None]] = {}
    for number, clip in enumerate(clips):
        frames, masks = render(clip.scene)
        names = [f"{t:05d}" for t in range(len(frames))]
        for name, frame in zip(names, frames, strict=True):
            yield f"JPEGImages/{clip.name}/{name}.jpg", encode_jpeg(frame)
        first_annotation = len(mask_dict)
        for offset, track in enumerate(masks):
            mask_dict[str(first_annotation + offset)] = [encode_mask(mask) for mask in track]
        videos[clip.name] = _describe(number, clip, names, first_annotation)
    yield META, _as_json({"videos": videos})
    yield MASKS, _as_json(mask_dict)


def _describe(number: int, clip: Clip, names: list[str], first_annotation: int) -> dict[str, Any]:
    return {
        "vid_id": number,
        "height": HEIGHT,
        "width": WIDTH,
        "frames": names,
        "expressions": {
            str(index): {
                "exp": sentence.text,
                "obj_id": list(sentence.targets),
                "anno_id": [first_annotation + target for target in sentence.targets],
            }
            for index, sentence in enumerate(clip.sentences)
        },
    }


def write_split(folder: Path, clips: Iterable[Clip]) -> int:
    """Write a split into `folder` and return how many bytes it has."""
    total = 0
    for name, content in split_files(clips):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        total += len(content)
    return total


def digest(folder: Path) -> str:
    """Return the SHA-256 of a split's sentences and true masks, one file after the other."""
    return hashlib.sha256((folder / META).read_bytes() + (folder / MASKS).read_bytes()).hexdigest()


def encode_jpeg(frame: NDArray[np.uint8]) -> bytes:
    """Encode one RGB frame, uint8 (H, W, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any] | None:
    """Encode one mask, bool (H, W), as compressed COCO RLE; an absent object is None."""
    if not mask.any():
        return None
    encoded = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")}


def _as_json(value: Any) -> bytes:
    return f"{json.dumps(value, indent=None, separators=(',', ':'))}\n".encode()
