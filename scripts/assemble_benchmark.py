"""Time the CPU half on a made-up run like valid: vote, PNGs, zip, check and score, on all cores.

    python -m scripts.assemble_benchmark /tmp/assemble-benchmark
    python -m scripts.assemble_benchmark /tmp/assemble-benchmark --videos 140   # as large as valid

The run has as many sentences, frames and experts as valid has, at 720p, but fewer videos; the last
column says what all 140 would take. It is made once and used again. Beside our stages stand the
same PNG rows through zlib alone, in as many threads as there are cores: what a 1-bit PNG writer can
be at best.
"""

import argparse
import os
import platform
import resource
import shutil
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.report_benchmark import make_blob
from submission.dataset.records import MASK_FILE, Expression, Split, Video
from submission.experts import mask_files
from submission.experts.expert import ExpertEntry
from submission.files.whole import write_json
from submission.masks.store import Prediction, PredictionStore
from submission.masks.track import Track
from submission.pipeline.check import check_run
from submission.pipeline.pack import pack
from submission.pipeline.score import score_run
from submission.pipeline.vote import refuse_missing, vote
from submission.pool import num_cores, open_pool
from submission.recipe import Recipe
from submission.run.folder import RunFolder
from submission.terminal.progress import Reporter

VALID_VIDEOS, SENTENCES, FRAMES, EXPERTS = 140, 16, 79, 5
SIZE = (720, 1280)
DETAILS = {"text": "It is [SEG].", "key_frames": [0, 39, 78], "num_seg": 1}
OBJECTS = 4  # sentences mean them in turn
WOBBLE = 0.04  # of a blob's radius: how far the outline of an expert is off
ZLIB_LEVEL = 6  # as the PNG writer has it


@dataclass(frozen=True)
class Row:
    """One stage: wall and processor seconds, and how many masks it went through."""

    stage: str
    wall: float
    processor: float
    masks: int

    def markdown(self, videos: int) -> str:
        """The row of the table; the last number is for all videos of valid."""
        rate = self.masks / self.wall
        whole = self.wall * VALID_VIDEOS / videos
        return (
            f"| {self.stage} | {self.wall:.1f} | {self.processor:.1f} | {rate:,.0f} | {whole:.0f} |"
        )


def make_split(root: Path, videos: int) -> Split:
    """The records of the made-up split; it has no frames on disk, which no stage here reads."""
    names = tuple(f"{index:05}" for index in range(FRAMES))
    made = []
    for number in range(videos):
        name = f"video{number:03}"
        asked = tuple(
            Expression(name, str(e), f"the blob that drifts away, asked for the {e}th time",
                       (e % OBJECTS,), (number * OBJECTS + e % OBJECTS,))
            for e in range(SENTENCES)
        )  # fmt: skip
        made.append(Video(name, names, SIZE, asked))
    return Split(root, "valid", root / "valid/meta_expressions.json", tuple(made))


def make_video(root: Path, video: Video, number: int) -> dict[str, object]:
    """Write the predictions of one video; return its true masks by annotation id."""
    store, truth = PredictionStore(root / "run/predictions"), {}
    for place in range(OBJECTS):
        seed = number * OBJECTS + place
        blob = make_blob(SIZE, seed)
        truth[str(seed)] = blob.track(SIZE, 0, 0).to_json()
        for expert in range(EXPERTS):
            track = blob.track(SIZE, WOBBLE, seed * EXPERTS + expert)
            for expression in video.expressions[place::OBJECTS]:
                answer = Prediction(expression.sentence, track, DETAILS)
                store.write(f"expert{expert}", video.name, expression.id, answer)
    return truth


def make_run(split: Split) -> None:
    """Make predictions and ground truth; the last file written marks them as whole."""
    shutil.rmtree(split.root, ignore_errors=True)
    write_json(split.meta_file, {})
    with open_pool(pays=True) as pool:
        count = len(split.videos)
        parts = list(pool.map(make_video, [split.root] * count, split.videos, range(count)))
    truth = {name: masks for part in parts for name, masks in part.items()}
    write_json(split.folder / MASK_FILE, truth, indent=None)


def processor_seconds() -> float:
    """Seconds that this process and its finished children have used."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)


def timed(stage: str, masks: int, work: Callable[[], object]) -> Row:
    """Run a stage and note what it took."""
    wall, processor = time.perf_counter(), processor_seconds()
    work()
    return Row(stage, time.perf_counter() - wall, processor_seconds() - processor, masks)


def zlib_alone(split: Split, run: RunFolder) -> Row:
    """The rows of one sentence of each video through zlib alone, once for every sentence."""
    sheets = [
        np.pad(np.packbits(mask, axis=1), ((0, 0), (1, 0))).tobytes()
        for video in split.videos
        for mask in first_track(video, run)
    ]
    with ThreadPoolExecutor(num_cores()) as pool:

        def work() -> None:
            for _ in range(SENTENCES):
                for _ in pool.map(lambda sheet: zlib.compress(sheet, ZLIB_LEVEL), sheets):
                    pass

        return timed("zlib alone, of the same rows", split.num_masks, work)


def first_track(video: Video, run: RunFolder) -> Track:
    """The first expert's answer to the first sentence of a video."""
    return run.store.read("expert0", video, video.expressions[0]).track


def measure(split: Split) -> list[Row]:
    """Go through the CPU half from the predictions on, and time each stage."""
    run = RunFolder(split.root / "run")
    for path in (run.annotations, run.stages.folder):
        shutil.rmtree(path, ignore_errors=True)
    for path in (run.zip, run.check, run.score):
        path.unlink(missing_ok=True)
    settings = mask_files.Settings(masks="unused")
    members = tuple(ExpertEntry(f"expert{number}", "masks", settings) for number in range(EXPERTS))
    recipe = Recipe("benchmark", Path(), members)
    with Reporter("quiet") as quiet:
        masks = split.num_masks
        return [
            timed("compare stored answers", EXPERTS * masks,
                  lambda: refuse_missing(recipe, split, run.store)),
            timed("compare them again", EXPERTS * masks,
                  lambda: refuse_missing(recipe, split, run.store)),
            timed(f"vote of {EXPERTS} and PNGs", masks, lambda: vote(recipe, split, run, quiet)),
            zlib_alone(split, run),
            timed("zip", masks, lambda: pack(recipe, split, run, quiet)),
            timed("check", masks,
                  lambda: check_run(split, run, require_team=False, reporter=quiet)),
            timed(f"score of the vote and {EXPERTS} experts", (EXPERTS + 1) * masks,
                  lambda: score_run(split, run, quiet)),
        ]  # fmt: skip


def main() -> None:
    """Make the run when it is not there, go through it, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description="Time vote, PNGs, zip, check and score.")
    parser.add_argument("folder", type=Path, help="where the made-up run is kept")
    parser.add_argument("--videos", type=int, default=8, help="of valid's 140 (default: 8)")
    arguments = parser.parse_args()
    split = make_split(arguments.folder / f"{arguments.videos}-videos", arguments.videos)
    if split.mask_file is None:
        print("making the run")
        make_run(split)
    rows = measure(split)
    print(f"{len(split.videos)} videos, {split.num_sentences} sentences, {split.num_masks} masks "
          f"of {SIZE[1]} x {SIZE[0]}, {EXPERTS} experts; {num_cores()} of {os.cpu_count()} cores, "
          f"Python {platform.python_version()}\n")  # fmt: skip
    print("| stage | s | processor s | masks/s | valid, s |\n|---|---|---|---|---|")
    print("\n".join(row.markdown(len(split.videos)) for row in rows))


if __name__ == "__main__":
    main()
