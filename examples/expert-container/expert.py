"""Answer a folder of videos with what moves: the contract of a container, in numpy and Pillow.

python3 expert.py /job /output
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

THRESHOLD = 24  # grey levels between a pixel and its median over time


def read_video(folder: Path, frames: list[str]) -> np.ndarray:
    """Return grey frames, float32 (T, H, W)."""
    images = (Image.open(folder / f"{frame}.jpg").convert("L") for frame in frames)
    return np.stack([np.asarray(image, np.float32) for image in images])


def answer(job: Path, output: Path) -> None:
    """Write a mask for every frame of every sentence that meta_expressions.json asks about."""
    meta = json.loads((job / "meta_expressions.json").read_text())
    for name, video in meta["videos"].items():  # the kit reads them in this order
        grey = read_video(job / "JPEGImages" / name, video["frames"])
        masks = np.abs(grey - np.median(grey, axis=0)) > THRESHOLD
        partial = output / "Annotations" / f"{name}.partial"
        for sentence in video["expressions"]:  # a model would read ["exp"]; motion needs no words
            (partial / sentence).mkdir(parents=True)
            for frame, mask in zip(video["frames"], masks, strict=True):
                Image.fromarray(mask).save(partial / sentence / f"{frame}.png")
        sure = [round(float(mask.any()), 3) for mask in masks]  # optional
        (partial / "scores.json").write_text(json.dumps(dict.fromkeys(video["expressions"], sure)))
        partial.rename(partial.with_suffix(""))  # from now on it counts, whatever comes
        print(f"{name}: {len(video['expressions'])} sentences", flush=True)


if __name__ == "__main__":
    answer(Path(sys.argv[1]), Path(sys.argv[2]))
