"""A tiny MeViS split on disk that tests may read, copy and damage."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from submission.dataset.mevis import Split, read_split
from submission.dataset.rle import encode

FRAMES = ("00000", "00001", "00002")
HEIGHT, WIDTH = 24, 40


def square(left: int, frame: int) -> np.ndarray:
    """Return the mask of a square that moves right by two pixels per frame, bool (H, W)."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[6:14, left + 2 * frame : left + 2 * frame + 8] = True
    return mask


def write_meta(split: Path, meta: dict[str, Any], name: str = "meta_expressions.json") -> None:
    """Write the meta file of a split folder."""
    (split / name).write_text(json.dumps(meta))


def meta() -> dict[str, Any]:
    """Return the meta file: two videos, ids that sort differently as text, one no-target."""
    return {
        "videos": {
            "dogs": {
                "frames": list(FRAMES),
                "expressions": {
                    "10": {"exp": "the dog that stops", "obj_id": [1], "anno_id": [8]},
                    "2": {"exp": "both dogs", "obj_id": [0, 1], "anno_id": [7, 8]},
                    "0": {"exp": "the cat", "obj_id": [], "anno_id": []},
                },
            },
            "cups": {
                "frames": list(FRAMES[:2]),
                "expressions": {
                    "0": {"exp": "the cup on the left", "obj_id": [0], "anno_id": [9]},
                },
            },
        }
    }


@pytest.fixture
def split_folder(tmp_path: Path) -> Path:
    """Write `<tmp>/data/valid_u` with frames, sentences and ground truth; return that folder."""
    folder = tmp_path / "data" / "valid_u"
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for video, entry in meta()["videos"].items():
        (folder / "JPEGImages" / video).mkdir(parents=True)
        for index, frame in enumerate(entry["frames"]):
            image = Image.fromarray(np.roll(noise, index, axis=1))
            image.save(folder / "JPEGImages" / video / f"{frame}.jpg", quality=90)
    write_meta(folder, meta())
    masks = {
        "7": [rle(square(2, frame)) for frame in range(3)],
        "8": [None, rle(square(20, 1)), rle(square(20, 2))],
        "9": [rle(square(0, frame)) for frame in range(2)],
    }
    (folder / "mask_dict.json").write_text(json.dumps(masks))
    return folder


@pytest.fixture
def split(split_folder: Path) -> Split:
    """Return the tiny split, read."""
    return read_split(split_folder.parent, split_folder.name)


def rle(mask: np.ndarray) -> dict[str, Any]:
    """Return a mask as mask_dict.json stores it."""
    return {"size": list(mask.shape), "counts": encode(mask).decode()}
