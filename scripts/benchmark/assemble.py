"""Time the CPU half on a made-up run like valid: vote, PNGs, zip, check and score, on all cores.

    python -m scripts.benchmark.assemble /tmp/assemble-benchmark
    python -m scripts.benchmark.assemble /tmp/assemble-benchmark --videos 140   # as large as valid

The run has as many sentences, frames and experts as valid has, at 720p, but fewer videos; the last
column says what all 140 would take. It is made once and used again. Beside our stages stand the
same PNG rows through zlib alone, in as many threads as there are cores: what a 1-bit PNG writer can
be at best.
"""

import argparse
import os
import platform
import shutil
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.benchmark.made_up import OBJECTS, make_run, make_video, processor_seconds
from scripts.benchmark.tables import markdown
from submission.dataset.records import Split
from submission.experts import mask_files
from submission.experts.expert import ExpertEntry
from submission.files.whole import write_json
from submission.pipeline.before_vote import refuse_missing
from submission.pipeline.check import check_run
from submission.pipeline.pack import pack
from submission.pipeline.score import score_run
from submission.pipeline.vote import vote
from submission.pool import num_cores
from submission.recipes.recipe import Recipe
from submission.run.folder import RunFolder
from submission.terminal.progress import Reporter

VALID_VIDEOS, SENTENCES = 140, 16
SIZE = (720, 1280)
EXPERTS = {f"expert{number}": 3 for number in range(5)}  # key frames
ZLIB_LEVEL = 6  # as the PNG writer has it


@dataclass(frozen=True)
class Row:
    """One stage: wall and processor seconds, and how many masks it went through."""

    stage: str
    wall: float
    processor: float
    masks: int

    def cells(self, videos: int) -> list[str]:
        """The row of the table; the last number is for all videos of valid."""
        whole = self.wall * VALID_VIDEOS / videos
        return [self.stage, f"{self.wall:.1f}", f"{self.processor:.1f}",
                f"{self.masks / self.wall:,.0f}", f"{whole:.0f}"]  # fmt: skip


def make_split(root: Path, videos: int) -> Split:
    """The records of the made-up split; it has no frames on disk, which no stage here reads."""
    made = tuple(
        make_video(n, SENTENCES, SIZE, lambda e, first=n * OBJECTS: first + e % OBJECTS)
        for n in range(videos)
    )
    return Split(root, "valid", root / "valid/meta_expressions.json", made)


def timed(stage: str, masks: int, work: Callable[[], object]) -> Row:
    """Run a stage and note what it took."""
    wall, processor = time.perf_counter(), processor_seconds()
    work()
    return Row(stage, time.perf_counter() - wall, processor_seconds() - processor, masks)


def zlib_alone(split: Split, run: RunFolder) -> Row:
    """The rows of one sentence of each video through zlib alone, once for every sentence."""
    first = next(iter(EXPERTS))
    sheets = [
        np.pad(np.packbits(mask, axis=1), ((0, 0), (1, 0))).tobytes()
        for video in split.videos
        for mask in run.store.read(first, video, video.expressions[0]).track
    ]
    with ThreadPoolExecutor(num_cores()) as pool:

        def work() -> None:
            for _ in range(SENTENCES):
                for _ in pool.map(lambda sheet: zlib.compress(sheet, ZLIB_LEVEL), sheets):
                    pass

        return timed("zlib alone, of the same rows", split.num_masks, work)


def measure(split: Split) -> list[Row]:
    """Go through the CPU half from the predictions on, and time each stage."""
    run = RunFolder(split.root / "run")
    for path in (run.annotations, run.stages.folder):
        shutil.rmtree(path, ignore_errors=True)
    for path in (run.zip, run.check, run.score):
        path.unlink(missing_ok=True)
    settings = mask_files.Settings(masks="unused")
    members = tuple(ExpertEntry(name, "masks", settings) for name in EXPERTS)
    recipe = Recipe("benchmark", Path(), members)
    with Reporter("quiet") as quiet:
        masks, count = split.num_masks, len(EXPERTS)
        return [
            timed("compare stored answers", count * masks,
                  lambda: refuse_missing(recipe, split, run.store)),
            timed("compare them again", count * masks,
                  lambda: refuse_missing(recipe, split, run.store)),
            timed(f"vote of {count} and PNGs", masks, lambda: vote(recipe, split, run, quiet)),
            zlib_alone(split, run),
            timed("zip", masks, lambda: pack(recipe, split, run, quiet)),
            timed("check", masks,
                  lambda: check_run(split, run, require_team=False, reporter=quiet)),
            timed(f"score of the vote and {count} experts", (count + 1) * masks,
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
        shutil.rmtree(split.root, ignore_errors=True)
        write_json(split.meta_file, {})
        make_run(split, EXPERTS)
    rows = measure(split)
    print(f"{len(split.videos)} videos, {split.num_sentences} sentences, {split.num_masks} masks "
          f"of {SIZE[1]} x {SIZE[0]}, {len(EXPERTS)} experts; {num_cores()} of {os.cpu_count()} "
          f"cores, Python {platform.python_version()}\n")  # fmt: skip
    header = ["stage", "s", "processor s", "masks/s", "valid, s"]
    print(markdown(header, [row.cells(len(split.videos)) for row in rows]))


if __name__ == "__main__":
    main()
