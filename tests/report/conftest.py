"""A finished run of the tiny split, with three experts, as the report reads it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_split import HEIGHT, WIDTH, meta, square, write_meta

from submission.dataset.mevis import Split, read_split
from submission.masks.ballot import Voting
from submission.masks.store import Prediction
from submission.masks.track import Track
from submission.report.writing import write_report
from submission.run.folder import RunFolder
from submission.run.record import RunRecord, describe_data
from submission.score.score_file import read_scores
from submission.terminal.progress import Reporter

HOSTILE = "</script><script>document.title = 'owned'</script> & \"it\" \u2028 <b>stops</b>"
EXPERTS = ("left", "middle", "right")


@pytest.fixture
def hostile_split(split_folder: Path) -> Split:
    """Return the tiny split with a sentence that is markup and script."""
    changed = meta()
    changed["videos"]["dogs"]["expressions"]["10"]["exp"] = HOSTILE
    write_meta(split_folder, changed)
    return read_split(split_folder.parent, split_folder.name)


@pytest.fixture
def run(tmp_path: Path, hostile_split: Split) -> RunFolder:
    """Return a run in which each expert sees a square a little further to the right.

    No expert sees anything for the sentence that has no target.
    """
    run = RunFolder(tmp_path / "run")
    for shift, expert in enumerate(EXPERTS):
        for video in hostile_split.videos:
            for one in video.expressions:
                frames = range(len(video.frame_names))
                masks = [square(4 + 2 * shift, frame) for frame in frames]
                if one.sentence == "the cat":
                    masks = [np.zeros((HEIGHT, WIDTH), bool) for _ in frames]
                details = {"text": f"<i>{expert}</i> [SEG]", "key_frames": [0], "num_seg": 1}
                answer = Prediction(one.sentence, Track.encode(masks), details)
                run.store.write(expert, video.name, one.id, answer)
    RunRecord(
        run.path,
        recipe={
            "name": "tiny <recipe>",
            "experts": [{"name": name, "checkpoint": "tiny"} for name in EXPERTS],
        },
        data=describe_data(hostile_split, is_part=False),
        experts={name: {"files": {"model.safetensors": "ab" * 32}} for name in EXPERTS},
    )
    return run


@pytest.fixture
def write(run: RunFolder, hostile_split: Split) -> Callable[..., Path]:
    """Return a function that writes the report of the run, with some or all experts."""

    def write_for(
        members: tuple[str, ...] = EXPERTS, *, split: Split = hostile_split, skip: bool = False
    ) -> Path:
        voting = Voting(members, (1.0,) * len(members), "majority", skip)
        results = read_scores(run.score).results if run.score.exists() else {}
        return write_report(split, run, voting, Reporter("quiet"), results)

    return write_for


@pytest.fixture
def score(run: RunFolder, hostile_split: Split) -> None:
    """Write a score.json in which sentence n of the split has J = F = n / 10."""
    keys = [f"{video.name}/{one.id}" for video in hostile_split.videos for one in video.expressions]
    result = {
        "J": 0.25, "F": 0.35, "J&F": 0.3,
        "expressions": {key: {"J": n / 10, "F": n / 10} for n, key in enumerate(keys)},
    }  # fmt: skip
    results = dict.fromkeys((*EXPERTS, "vote"), result)
    value = {"split": hostile_split.name, "results": results, "missing": []}
    run.score.write_text(json.dumps(value))
