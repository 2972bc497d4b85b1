"""How many frames a second come from JPEG files to stored answers when the model costs little.

A released model takes fewer; as long as this rate is above its own, it does not wait for files.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from scripts.benchmark.clips import sentences, synthetic_clip
from scripts.benchmark.resources import utilisation
from scripts.benchmark.sizes import CARRIED
from scripts.benchmark.tables import markdown
from submission.device import settle_device

SPLIT = "valid"


def main(words: Sequence[str] | None = None) -> int:
    """Write a split, predict it, print the rate; 1 when predict failed."""
    import torch

    parser = argparse.ArgumentParser(prog="python -m scripts.benchmark.feeding")
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--sentences", type=int, default=4)
    parser.add_argument("--rehearse", action="store_true", help="two short videos")
    arguments = parser.parse_args(words)
    if arguments.rehearse:
        arguments.videos, arguments.frames = 2, 8
    device = settle_device("auto")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_split(folder, arguments.videos, arguments.frames, arguments.sentences)
        call = [sys.executable, "-m", "submission", "predict", "--quiet", "--device", device]
        call += ["--recipe", str(folder / "recipe.toml"), "--run", str(folder / "run")]
        started = time.monotonic()
        with utilisation(torch.device(device)) as seen:
            done = subprocess.run(call, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
    if done.returncode:
        print(f"predict failed:\n{done.stderr}", file=sys.stderr)
        return 1
    frames = arguments.videos * arguments.frames
    what = f"{arguments.videos} videos of {arguments.frames}, {arguments.sentences} sentences each"
    busy = "" if seen.busy is None else f"{seen.busy:.0%}"
    header = ["small model, 720 x 1280 JPEG, start of Python included", "s", "frames/s", "masks/s",
              "GPU busy"]  # fmt: skip
    rates = [f"{count / seconds:.1f}" for count in (frames, arguments.sentences * frames)]
    print(markdown(header, [[what, f"{seconds:.1f}", *rates, busy]]))
    return 0


def write_split(folder: Path, videos: int, frames: int, asked: int) -> None:
    """Write a split in MeViS's layout, and a recipe that runs the small model of the sample."""
    names = [f"{time:05d}" for time in range(frames)]
    meta = {
        f"clip_{number:03d}": {
            "expressions": {str(n): {"exp": text} for n, text in enumerate(sentences(asked))},
            "frames": names,
        }
        for number in range(videos)
    }
    for number, video in enumerate(meta):
        pictures = folder / SPLIT / "JPEGImages" / video
        pictures.mkdir(parents=True)
        clip = synthetic_clip(frames, 720, 1280, seed=number)
        for name, frame in zip(names, clip, strict=True):
            Image.fromarray(frame).save(pictures / f"{name}.jpg", quality=90)
    text = json.dumps({"videos": meta})
    (folder / SPLIT / "meta_expressions.json").write_text(text, encoding="utf-8")
    (folder / "recipe.toml").write_text(
        f'[data]\nroot = "."\nsplit = "{SPLIT}"\n\n'
        f'[[expert]]\nname = "small"\ncheckpoint = {json.dumps(str(CARRIED["sample"]))}\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    sys.exit(main())
