"""A strip of frames for README: what some results of a run say of a few sentences, on the video.

    .venv/bin/mevis-submission submit --run runs/sample
    .venv/bin/python -m scripts.pictures.strip runs/sample docs/images/strip.webp \\
        clip_09/0 clip_06/1 clip_02/1 --results first5 uniform11 vote

One row for each sentence and result: dark is what the mask leaves out, white the true outline.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from submission.dataset.frames import open_frames
from submission.dataset.ground_truth import read_ground_truth
from submission.dataset.mevis import read_split
from submission.dataset.records import Expression, Split, Video
from submission.errors import InputError
from submission.masks.track import Track
from submission.output.mask_files import open_submission
from submission.run.folder import RunFolder
from submission.run.results import data_of_run
from submission.score.score_file import VOTE

FRAMES = 5  # of each video, evenly from first to last
LABEL, HEADING, GAP = 92, 26, 3  # pixels: left column, line above a sentence, between pictures
TRUE_EDGE, PAPER, INK = (255, 255, 255), (255, 255, 255), (30, 30, 30)
LIGHT_OUTSIDE = 0.3  # share of its light that a pixel outside the mask keeps
MOST_BYTES = 300_000

Picture = NDArray[np.uint8]  # (H, W, 3) RGB


@dataclass(frozen=True)
class Row:
    """One sentence with what each result says of it."""

    video: Video
    expression: Expression
    tracks: Mapping[str, Track]
    truth: NDArray[np.bool_] | None  # (T, H, W)


def main() -> int:
    """Draw and write the strip; return 0, or 2 where something is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path, help="its ending chooses the format")
    parser.add_argument("sentences", nargs="+", metavar="VIDEO/ID")
    parser.add_argument("--results", nargs="+", required=True, help=f"experts, or {VOTE}")
    arguments = parser.parse_args()
    try:
        rows, split = read_rows(arguments.run, arguments.sentences, arguments.results)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    picture = draw(rows, split)
    picture.save(arguments.out, quality=82, method=6)
    size = arguments.out.stat().st_size
    print(f"{arguments.out}: {picture.width} x {picture.height} pixels, {size / 1000:.0f} kB")
    return 0 if size <= MOST_BYTES else 1


def read_rows(
    folder: Path, sentences: Sequence[str], results: Sequence[str]
) -> tuple[list[Row], Split]:
    """Read what is to be drawn. Raises InputError for a run or sentence that is not there."""
    run, data = RunFolder(folder), data_of_run(folder)
    if data is None:
        raise InputError(f"{folder}: no run; make one: mevis-submission submit --run {folder}")
    split = read_split(data.root, data.split, data.meta)
    asked = {f"{v.name}/{e.id}": (v, e) for v, e in split.sentences()}
    if unknown := [name for name in sentences if name not in asked]:
        raise InputError(f"no sentence {', '.join(unknown)} in {split.name}")
    truth = read_ground_truth(split) if split.mask_file else None
    return [
        Row(*asked[name], {r: _track(run, r, *asked[name]) for r in results},
            truth and truth.masks(*asked[name]))
        for name in sentences
    ], split  # fmt: skip


def _track(run: RunFolder, result: str, video: Video, expression: Expression) -> Track:
    if result != VOTE:
        return run.store.read(result, video, expression).track
    with open_submission(run.zip) as files:
        return files.read_track(video, expression.id)


def draw(rows: Sequence[Row], split: Split) -> Image.Image:
    """Put all rows on one sheet."""
    source = open_frames(split)
    height, width = rows[0].video.size
    lines = sum(len(row.tracks) for row in rows)
    sheet = Image.new(
        "RGB", (LABEL + FRAMES * (width + GAP), len(rows) * HEADING + lines * (height + GAP)), PAPER
    )
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    top = 0
    for row in rows:
        pen.text((0, top + 4), f"“{row.expression.sentence}”", INK, font)
        top += HEADING
        frames = source.read(row.video)
        for name, track in row.tracks.items():
            pen.text((0, top + height // 2 - 8), name, INK, font)
            for column, time in enumerate(np.linspace(0, len(frames) - 1, FRAMES).round()):
                index = int(time)
                truth = None if row.truth is None else row.truth[index]
                shown = darken(frames[index], track.frame(index), truth)
                sheet.paste(Image.fromarray(shown), (LABEL + column * (width + GAP), top))
            top += height + GAP
    return sheet


def darken(frame: Picture, mask: NDArray[np.bool_], truth: NDArray[np.bool_] | None) -> Picture:
    """Return the frame (H, W, 3), dark outside the mask (H, W), and the true mask's outline."""
    light = np.where(mask, 1.0, LIGHT_OUTSIDE)[..., None]
    picture = (frame * light).round().astype(np.uint8)
    if truth is not None:
        picture[truth & ~_eroded(truth)] = TRUE_EDGE
    return picture


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(mask, 1)
    return padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(main())
