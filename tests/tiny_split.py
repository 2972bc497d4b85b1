"""What the tiny split of the tests contains: two videos of 24 x 40 pixels, four sentences."""

import json
from pathlib import Path
from typing import Any

import numpy as np

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


def rle(mask: np.ndarray) -> dict[str, Any]:
    """Return a mask as mask_dict.json stores it."""
    return {"size": list(mask.shape), "counts": encode(mask).decode()}
