"""Time the report on a made-up run as large as valid_u: 50 videos, 793 sentences, three experts.

    python -m scripts.benchmark.report /tmp/report-benchmark

The run is made once (minutes, 1.5 GB) and used again; the report is written anew each time. The
frames are noise of all sizes, moving; the masks are blobs that drift and change their outline, and
the experts' outlines differ from the true one everywhere. Each sentence has an annotation of its
own, as if none were about the same object.
"""

import argparse
import os
import platform
import shutil
import time
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.benchmark.made_up import FRAMES, Size, make_run, make_video, processor_seconds
from submission.dataset.frame_files import FRAME_FOLDER
from submission.dataset.mevis import read_split
from submission.dataset.records import Split
from submission.files.whole import write_json
from submission.masks.ballot import Voting
from submission.pool import open_pool
from submission.report.writing import REPORT_UNITS, write_report
from submission.run.folder import RunFolder
from submission.run.record import RunRecord, describe_data
from submission.terminal.progress import Reporter

VIDEOS, SENTENCES = 50, 793
SIZES = ((720, 1280), (1080, 1920))  # in turn
EXPERTS = {"first5": 5, "uniform5": 5, "uniform20": 20}  # key frames


def make_split(root: Path) -> Split:
    """Return the records of the made-up split, with sentences spread evenly over the videos."""
    meta, annotations = root / "data/valid_u/meta_expressions.json", count()
    videos = tuple(
        make_video(
            number, SENTENCES // VIDEOS + (number < SENTENCES % VIDEOS),
            SIZES[number % len(SIZES)], lambda _: next(annotations),
        )
        for number in range(VIDEOS)
    )  # fmt: skip
    return Split(root / "data", "valid_u", meta, videos)


def write_data(split: Split) -> None:
    """Write frames and meta file."""
    folders = [split.folder / FRAME_FOLDER / video.name for video in split.videos]
    with open_pool(pays=True) as pool:
        sizes = (video.size for video in split.videos)
        list(pool.map(write_frames, folders, sizes, range(len(folders))))
    videos = {
        video.name: {
            "frames": video.frame_names,
            "expressions": {
                one.id: {
                    "exp": one.sentence, "obj_id": one.object_ids, "anno_id": one.annotation_ids
                }
                for one in video.expressions
            },
        }
        for video in split.videos
    }  # fmt: skip
    write_json(split.meta_file, {"videos": videos})


def write_frames(folder: Path, size: Size, seed: int) -> None:
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


def main() -> None:
    """Make the run when it is not there, write its report, and print time and size."""
    parser = argparse.ArgumentParser(description="Time the report on a run of valid_u's size.")
    parser.add_argument("folder", type=Path, help="where the made-up run is kept")
    root = parser.parse_args().folder
    made = make_split(root)
    if made.mask_file is None:
        print("making the run")
        shutil.rmtree(root, ignore_errors=True)
        write_data(made)
        make_run(made, EXPERTS)
    split, run = read_split(made.root, made.name), RunFolder(made.root / "run")
    shutil.rmtree(run.report.parent, ignore_errors=True)
    members = [{"name": name, "checkpoint": "made-up"} for name in EXPERTS]
    recipe = {"name": "benchmark", "experts": members}
    identities = {name: {"files": {"model.safetensors": "0" * 64}} for name in EXPERTS}
    RunRecord(run.path, recipe=recipe, data=describe_data(split, False), experts=identities)
    voting = Voting(tuple(EXPERTS), (1.0,) * len(EXPERTS), "majority", skip_missing=False)
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
