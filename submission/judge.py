"""Look at a result as the judge does: whether it is whole, and how good where truth is known.

Knows the zip and the ground truth, not how the masks were made.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from submission.dataset.ground_truth import GroundTruth, read_ground_truth
from submission.dataset.records import Expression, Split, Video
from submission.errors import FaultyInput
from submission.output.check import Verdict, check
from submission.output.mask_files import MaskFiles, MaskFolder, open_submission
from submission.progress import Reporter
from submission.run_folder import RunFolder
from submission.score.scoring import Frames, Score, score, write_score
from submission.stages import file_states
from submission.whole_files import write_json

CHECK_UNITS, SCORE_UNITS = 0.02, 0.1  # cost of a mask; predicting one is 1

Means = dict[str, dict[str, float]]  # by the name of an expert, or "vote"


def check_run(split: Split, run: RunFolder, *, require_team: bool, reporter: Reporter) -> Verdict:
    """Check the run's zip, write check.json and return the verdict."""
    inputs = {"zip": file_states([run.zip]), "team": require_team, "split": split.num_masks}
    record = run.stages.read("check")
    if run.stages.is_current("check", inputs) and record.get("ok") and run.check.exists():
        return Verdict(run.zip, split.name, (), record["counts"])
    verdict = check_files(run.zip, split, run.check, require_team=require_team, reporter=reporter)
    run.stages.record("check", inputs, ok=verdict.ok, counts=verdict.counts)
    return verdict


def check_files(
    path: Path, split: Split, out: Path, *, require_team: bool, reporter: Reporter
) -> Verdict:
    """Check a zip or folder of PNGs, write the verdict to `out` and return it."""
    reporter.stage("check")
    total, seen = split.num_masks, 0

    def count(files: int) -> None:
        nonlocal seen
        seen += files
        reporter.advance(files * CHECK_UNITS, f"{seen} of {total} masks")

    verdict = check(path, split, require_team=require_team, on_file=count)
    write_json(out, verdict.to_json())
    return verdict


def score_run(split: Split, run: RunFolder, experts: Sequence[str], reporter: Reporter) -> Means:
    """Score the vote and every expert, write score.json and return the means.

    With one expert the vote is that expert's answer and stands alone.
    """
    names = [*experts, "vote"] if len(experts) > 1 else ["vote"]
    truth_file = split.mask_file or split.folder
    inputs = {"files": file_states([run.zip, truth_file]), "names": names}
    if run.stages.is_current("score", inputs) and run.score.exists():
        return dict(run.stages.read("score")["means"])
    reporter.stage("score")
    truth = read_ground_truth(split)
    results = {name: _score_one(name, split, run, truth, reporter) for name in names}
    write_score(run.score, split.name, results)
    means = {name: result.means() for name, result in results.items()}
    run.stages.record("score", inputs, means=means)
    return means


def score_files(path: Path, split: Split, out: Path, reporter: Reporter) -> Means:
    """Score a folder or zip of PNGs, write `out` and return the means by the folder's name."""
    reporter.stage("score")
    truth = read_ground_truth(split)
    with open_submission(path) as files:
        if missing := files.missing(split):
            advice = f"All faults are listed by: mevis-submission check {path}"
            raise FaultyInput(f"{path} is not complete:", missing, advice)
        result = score(split, truth, _pngs(files, split, reporter))
    write_score(out, split.name, {path.stem: result})
    return {path.stem: result.means()}


def _score_one(
    name: str, split: Split, run: RunFolder, truth: GroundTruth, reporter: Reporter
) -> Score:
    if name == "vote":
        return score(split, truth, _pngs(MaskFolder(run.annotations), split, reporter))
    return score(split, truth, _predictions(name, split, run, reporter))


def _pngs(
    files: MaskFiles, split: Split, reporter: Reporter
) -> Iterator[tuple[Video, Expression, Frames]]:
    for video in split.videos:
        for expression in video.expressions:
            yield video, expression, files.read_track(video, expression.id).decode()
            reporter.advance(len(video.frame_names) * SCORE_UNITS, video.name)


def _predictions(
    expert: str, split: Split, run: RunFolder, reporter: Reporter
) -> Iterator[tuple[Video, Expression, Any]]:
    for video in split.videos:
        for expression in video.expressions:
            # A sentence that a member left out is not yielded: it counts 0 and is listed.
            if run.store.has(expert, video, expression):
                yield video, expression, run.store.read(expert, video, expression).track.decode()
            reporter.advance(len(video.frame_names) * SCORE_UNITS, f"{expert} {video.name}")
