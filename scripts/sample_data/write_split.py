"""A split of scenes in MeViS's own layout: frames, sentences and true masks on disk."""

import io
import json
import random
from collections.abc import Iterator, Sequence
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
from scripts.sample_data.sentences import Sentence, sentences

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


@dataclass(frozen=True)
class Clip:
    """A scene with its name and its sentences."""

    name: str
    scene: Scene
    sentences: tuple[Sentence, ...]


def draw_clips(num_clips: int, seed: int) -> Iterator[Clip]:
    """Yield clips; the n-th is the same for a seed, however many are asked for."""
    for number in range(num_clips):
        rng = random.Random(f"{seed}/{number}")
        num_frames = rng.randint(*FRAMES)
        scene = draw_scene(rng, num_frames, CASTS[number % len(CASTS)])
        wants_no_target = number % NO_TARGET_EVERY == NO_TARGET_EVERY - 1
        chosen = _choose(list(sentences(scene, rng)), wants_no_target, rng)
        yield Clip(f"clip_{number:02d}", scene, chosen)


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


def split_files(num_clips: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield the path inside the split and the content of every file.

    JSON files have the same bytes everywhere; JPEG bytes depend on Pillow's libjpeg.
    """
    videos: dict[str, Any] = {}
    mask_dict: dict[str, list[dict[str, Any] | None]] = {}
    for number, clip in enumerate(draw_clips(num_clips, seed)):
        frames, masks = render(clip.scene)
        names = [f"{t:05d}" for t in range(len(frames))]
        for name, frame in zip(names, frames, strict=True):
            yield f"JPEGImages/{clip.name}/{name}.jpg", encode_jpeg(frame)
        first_annotation = len(mask_dict)
        for offset, track in enumerate(masks):
            mask_dict[str(first_annotation + offset)] = [encode_mask(mask) for mask in track]
        videos[clip.name] = {
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
    yield "meta_expressions.json", _as_json({"videos": videos})
    yield "mask_dict.json", _as_json(mask_dict)


def write_split(folder: Path, num_clips: int, seed: int) -> int:
    """Write a split into `folder` and return how many bytes it has."""
    total = 0
    for name, content in split_files(num_clips, seed):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        total += len(content)
    return total


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
