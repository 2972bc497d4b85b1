"""Score and report hold what a video needs, however many videos there are."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from submission.dataset.records import MASK_FILE, Expression, Split, Video
from submission.files import json_members
from submission.masks.ballot import Voting
from submission.masks.store import Prediction
from submission.masks.track import Track
from submission.pipeline.score import score_results
from submission.report.writing import write_report
from submission.run.folder import RunFolder
from submission.run.record import RunRecord, describe_data
from submission.score.answers import StoreSource
from submission.terminal.progress import Reporter

SIZE, FRAMES, FEW, MANY = (180, 240), 3, 3, 12


@pytest.fixture(scope="module")
def noise(tmp_path_factory) -> tuple[Split, RunFolder]:
    """A split of many videos with long run lengths, and a run with an expert's answers."""
    folder = tmp_path_factory.mktemp("noise")
    run, track = RunFolder(folder / "run"), Track.encode(
        np.random.default_rng(0).random((FRAMES, *SIZE)) < 0.5
    )  # fmt: skip
    videos, frames = [], tuple(f"{frame:05}" for frame in range(FRAMES))
    for number in range(MANY):
        name = f"video{number}"
        asked = Expression(name, "0", "noise", (1,), (number,))
        videos.append(Video(name, frames, SIZE, (asked,)))
        answer = Prediction("noise", track)
        run.store.write("one", name, "0", answer)
        (folder / "data/valid/JPEGImages" / name).mkdir(parents=True)
    split = Split(folder / "data", "valid", folder / "data/valid/meta.json", tuple(videos))
    split.meta_file.write_text("{}")
    masks = {str(number): track.to_json() for number in range(MANY)}
    (split.folder / MASK_FILE).write_text(json.dumps(masks))
    return split, run


def peak_of(work) -> int:
    """The most memory, in bytes, that Python held at once during a call."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def growth(work, split: Split) -> float:
    """How much more memory four times as many videos need, in videos: their true masks as text."""
    few = replace(split, videos=split.videos[:FEW])
    work(few)  # what is made once, such as compiled patterns, is not counted
    one_video = (split.folder / MASK_FILE).stat().st_size / MANY
    return (peak_of(lambda: work(split)) - peak_of(lambda: work(few))) / one_video


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(json_members, "CHUNK", 1 << 14)


def test_the_score_of_many_videos_needs_no_more_memory(noise):
    split, run = noise
    source = StoreSource("one", run.store.folder)
    with Reporter("quiet") as quiet:
        assert growth(lambda part: score_results([source], part, quiet), split) < 2


def test_the_report_of_many_videos_needs_no_more_memory(noise):
    split, run = noise
    recipe = {"name": "noise", "experts": [{"name": "one", "masks": "given"}]}
    RunRecord(
        run.path, recipe=recipe, data=describe_data(split, is_part=False), experts={"one": {}}
    )

    def work(part: Split) -> Path:
        run.report.unlink(missing_ok=True)
        for stage in run.stages.folder.rglob("*.json"):
            stage.unlink()
        return write_report(part, run, Voting(("one",), (1.0,), "majority", False), quiet)

    with Reporter("quiet") as quiet:
        assert growth(work, split) < 2
