"""Score results as the judge does, where the truth is known; several processes, a video at a time.

Knows the zip, the stored answers and the ground truth, not how the masks were made.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from submission.code_digest import code_digest
from submission.dataset.ground_truth import read_ground_truth
from submission.dataset.records import Split
from submission.pool import open_pool, work_through
from submission.run.folder import RunFolder
from submission.run.results import Found, find_results
from submission.run.stages import contents, file_states
from submission.score.answers import StoreSource
from submission.score.score_file import Scores, read_scores, write_scores
from submission.score.scoring import ExpressionScore, Score, gather, score_video
from submission.terminal.progress import Reporter

SCORE_UNITS = 0.02  # cost of a mask; predicting one is 1
POOL_FROM = 3_000_000_000  # pixels from which starting processes pays; some three seconds


def score_run(split: Split, run: RunFolder, reporter: Reporter) -> Scores:
    """Score the vote and every expert of a run, write its score.json and return the scores."""
    if is_scored(split, run):
        return read_scores(run.score)
    found = find_results(run.path, split)
    inputs = _inputs(split, run, found)
    scores = write_scores(run.score, split, score_results(found, split, reporter))
    run.stages.record("score", inputs, made=contents(_made(run)), of=contents([run.zip]))
    return scores


def is_of_earlier_zip(run: RunFolder) -> bool:
    """Tell whether the run's score is of another zip than lies there, as far as records say."""
    return run.stages.read("score").get("of") not in (None, contents([run.zip]))


def drop_old_score(run: RunFolder, reporter: Reporter) -> None:
    """Remove the score of a zip that is no more, where the one of now cannot be scored."""
    if not is_of_earlier_zip(run):
        return
    if there := [path for path in _made(run) if path.is_file()]:
        names = " and ".join(path.name for path in there)
        reporter.warn(f"{names} were of another zip, and there is no ground truth now: removed")
    for path in there:
        path.unlink()


def is_scored(split: Split, run: RunFolder) -> bool:
    """Tell whether score.json is of the zip and the answers that are there now."""
    if not all(path.is_file() for path in _made(run)):
        return False
    inputs = _inputs(split, run, find_results(run.path, split))
    return run.stages.is_current("score", inputs, _made(run))


def _made(run: RunFolder) -> tuple[Path, Path]:
    return run.score, run.score.with_suffix(".csv")


def score_results(results: Sequence[Found], split: Split, reporter: Reporter) -> dict[str, Score]:
    """Score results in several processes and return them by name.

    What is missing or damaged counts 0 and is listed in the scores. Raises InputError when the
    split has no ground truth.
    """
    reporter.stage("score")
    truth = read_ground_truth(split)
    parts: dict[str, dict[str, list[ExpressionScore]]] = {}
    with open_pool(pays=_pixels(split) * len(results) > POOL_FROM) as pool:
        calls = (
            (video, score_video, (video, truth.part(video), tuple(results)))
            for video in split.videos
        )
        for number, (video, part) in enumerate(work_through(pool, calls), 1):
            parts[video.name] = part
            units = video.num_masks * len(results) * SCORE_UNITS
            reporter.advance(units, f"video {number}/{len(split.videos)}")
    ordered = (parts[video.name] for video in split.videos)
    return gather(ordered, [result.name for result in results])


def _inputs(split: Split, run: RunFolder, found: Sequence[Found]) -> dict[str, Any]:
    return {
        "zip": file_states([run.zip]),
        "truth": file_states([split.mask_file or split.folder, split.meta_file]),
        "videos": [video.name for video in split.videos],
        "predictions": _states_of_predictions(split, run, found),
        "code": code_digest(__name__),
    }


def _states_of_predictions(split: Split, run: RunFolder, found: Sequence[Found]) -> dict[str, Any]:
    return {
        result.name: file_states(
            run.store.path(result.name, video.name, expression.id)
            for video, expression in split.sentences()
        )
        for result in found
        if isinstance(result, StoreSource)
    }


def _pixels(split: Split) -> int:
    return sum(video.num_masks * video.size[0] * video.size[1] for video in split.videos)
