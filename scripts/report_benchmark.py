"""Time the report on a made-up run as large as valid_u: 50 videos, 793 sentences, three experts.

    .venv/bin/python scripts/report_benchmark.py /tmp/report-benchmark

The run is made once (minutes, 1.5 GB) and used again; the report is written anew each time. The
frames are noise of all sizes, moving; the masks are blobs that drift and change their outline, and
the experts' outlines differ from the true one everywhere.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from submission.dataset.mevis import read_split
from submission.files.whole import write_bytes, write_json
from submission.masks.ballot import Voting
from submission.masks.store import Prediction, PredictionStore
from submission.masks.track import Track
from submission.pool import open_pool
from submission.report.writing import REPORT_UNITS, write_report
from submission.run.folder import RunFolder
from submission.run.record import RunRecord, describe_data
from submission.terminal.progress import Reporter
from submission.video.sampling import key_frames

VIDEOS, SENTENCES, FRAMES, OBJECTS = 50, 793, 79, 4
SIZES = ((720, 1280), (1080, 1920))  # in turn
EXPERTS = ("first5", "uniform5", "uniform20")
WOBBLE = 0.04  # of a blob's radius: how far the outline of an expert is off
ANGLES = np.linspace(0, 2 * np.pi, 96, endpoint=False)


@dataclass(frozen=True)
class Blob:
    """An object: the middle (x, y) in the first frame, its way, its radius at each angle."""

    middle: NDArray[np.float64]
    way: NDArray[np.float64]
    radii: NDArray[np.float64]

    def track(self, size: tuple[int, int], wobble: float, seed: int) -> Track:
        """Draw the blob in every frame; `wobble` moves its outline in and out."""
        phases = np.random.default_rng(seed).uniform(0, 7, 9)
        return Track.encode(self._draw(size, wobble, phases, index) for index in range(FRAMES))

    def _draw(
        self, size: tuple[int, int], wobble: float, phases: NDArray[np.float64], index: int
    ) -> NDArray[np.bool_]:
        waves = [np.sin((k + 4) * ANGLES + p + 0.4 * index) for k, p in enumerate(phases)]
        radii = self.radii * (1 + wobble * np.sum(waves, axis=0) / np.sqrt(len(waves) / 2))
        x, y = self.middle + self.way * index / FRAMES
        outline = np.stack([x + radii * np.cos(ANGLES), y + radii * np.sin(ANGLES)], axis=1)
        picture = Image.new("1", (size[1], size[0]))
        ImageDraw.Draw(picture).polygon([tuple(point) for point in outline.tolist()], fill=1)
        return np.asarray(picture)


def make_blob(size: tuple[int, int], seed: int) -> Blob:
    """Return a blob of about a twentieth of the frame, lobed like an animal or a person."""
    draw = np.random.default_rng(seed)
    lobes = [
        draw.normal(0, 0.22 / k) * np.cos(k * ANGLES + draw.uniform(0, 7)) for k in range(1, 7)
    ]
    side = np.array([size[1], size[0]])
    return Blob(
        middle=draw.uniform(0.2, 0.8, 2) * side,
        way=draw.normal(0, 0.15, 2) * side,
        radii=draw.uniform(0.08, 0.25) * size[0] * np.clip(1 + np.sum(lobes, axis=0), 0.3, 2),
    )


def write_frames(folder: Path, size: tuple[int, int], seed: int) -> None:
    """Write JPEGs of noise in all sizes that moves two pixels a frame."""
    draw = np.random.default_rng(seed)
    height, width = size[0] + 2 * FRAMES, size[1] + 2 * FRAMES
    texture = np.zeros((height, width, 3), np.float32)
    for cells in (4, 9, 20, 45, 100, 220):
        coarse = draw.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        layer = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        texture += np.asarray(layer, np.float32) / cells**0.7
    texture *= 255 / texture.max()
    folder.mkdir(parents=True)
    for index in range(FRAMES):
        x = 2 * index
        frame = texture[x : x + size[0], x : x + size[1]].astype(np.uint8)
        Image.fromarray(frame).save(folder / f"{index:05}.jpg", quality=90)


def make_video(root: Path, number: int) -> dict[str, list[dict[str, object]]]:
    """Write frames and predictions of one video; return its true masks by annotation id.

    Each sentence has an annotation of its own, as if none were about the same object.
    """
    name, size = f"video{number:02}", SIZES[number % len(SIZES)]
    write_frames(root / "data/valid_u/JPEGImages" / name, size, number)
    store, truth = PredictionStore(root / "run/predictions"), {}
    for place in range(OBJECTS):
        seed = number * OBJECTS + place
        blob = make_blob(size, seed)
        true_masks = blob.track(size, 0, 0).to_json()
        asked = range(place, count_sentences(number), OBJECTS)
        truth |= {str(annotation(number, expression)): true_masks for expression in asked}
        for member, expert in enumerate(EXPERTS):
            track = blob.track(size, WOBBLE, seed * len(EXPERTS) + member)
            keys = key_frames(FRAMES, 20 if expert == "uniform20" else 5, "uniform")
            for expression in asked:
                details = {"text": "It is [SEG].", "key_frames": list(keys), "num_seg": 1}
                answer = Prediction(sentence(expression), track, details)
                store.write(expert, name, str(expression), answer)
    return truth


def count_sentences(number: int) -> int:
    """Spread the sentences evenly over the videos."""
    return SENTENCES // VIDEOS + (number < SENTENCES % VIDEOS)


def annotation(number: int, expression: int) -> int:
    """Return the annotation id of a sentence."""
    return number * SENTENCES + expression


def sentence(expression: int) -> str:
    """Return a made-up sentence as long as a usual one."""
    return f"the blob that drifts away from the others, described for the {expression}th time"


def make_run(root: Path) -> None:
    """Make data and run; the last file written marks them as whole."""
    shutil.rmtree(root, ignore_errors=True)
    videos = {
        f"video{number:02}": {
            "frames": [f"{index:05}" for index in range(FRAMES)],
            "expressions": {
                str(e): {"exp": sentence(e), "obj_id": [e % OBJECTS],
                         "anno_id": [annotation(number, e)]}
                for e in range(count_sentences(number))
            },
        }
        for number in range(VIDEOS)
    }  # fmt: skip
    write_json(root / "data/valid_u/meta_expressions.json", {"videos": videos})
    with open_pool(pays=True) as pool:
        parts = list(pool.map(make_video, [root] * VIDEOS, range(VIDEOS)))
    truth = {name: masks for part in parts for name, masks in part.items()}
    write_bytes(root / "data/valid_u/mask_dict.json", json.dumps(truth).encode())


def processor_seconds() -> float:
    """Return the time that this process and its finished children have used."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)


def main() -> None:
    """Make the run when it is not there, write its report, and print time and size."""
    parser = argparse.ArgumentParser(description="Time the report on a run of valid_u's size.")
    parser.add_argument("folder", type=Path, help="where the made-up run is kept")
    root = parser.parse_args().folder
    if not (root / "data/valid_u/mask_dict.json").exists():
        print("making the run")
        make_run(root)
    split, run = read_split(root / "data", "valid_u"), RunFolder(root / "run")
    shutil.rmtree(run.report.parent, ignore_errors=True)
    members = [{"name": name, "checkpoint": "made-up"} for name in EXPERTS]
    recipe = {"name": "benchmark", "experts": members}
    identities = {name: {"files": {"model.safetensors": "0" * 64}} for name in EXPERTS}
    RunRecord(run.path, recipe=recipe, data=describe_data(split, False), experts=identities)
    voting = Voting(EXPERTS, (1.0,) * len(EXPERTS), "majority", skip_missing=False)
    with Reporter("plain") as reporter:
        for words in ("from nothing", "again"):
            reporter.plan(split.num_masks * REPORT_UNITS)
            started, used = time.perf_counter(), processor_seconds()
            write_report(split, run, voting, reporter)
            took = time.perf_counter() - started
            print(f"{words}: {took:.1f} s, {processor_seconds() - used:.1f} s of processor time")
    sizes = [file.stat().st_size for file in run.report.parent.rglob("*") if file.is_file()]
    print(f"{split.num_sentences} sentences, {split.num_masks} masks per layer, {os.cpu_count()} "
          f"cores, Python {platform.python_version()}: {sum(sizes) / 1e6:.1f} MB, "
          f"page {run.report.stat().st_size / 1e6:.2f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
