"""Find the gate for a run: evidence and true outcome of every sentence of a labelled split.

Votes as the recipe says, without its gate, in memory: no PNG of the run is touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from submission.dataset.ground_truth import GroundTruth, read_ground_truth
from submission.dataset.records import Split, Video
from submission.errors import InputError
from submission.gate.calibration import Calibration, calibrate
from submission.gate.evidence import KINDS
from submission.gate.judge import EXISTENCE, Calibrated
from submission.gate.labelled import Table
from submission.masks.ballot import Voting
from submission.masks.store import PredictionStore
from submission.masks.track import Track
from submission.pipeline.before_vote import refuse_missing
from submission.pipeline.vote import evidence_of, read_odds
from submission.pool import open_pool, work_through
from submission.recipes.recipe import Recipe
from submission.run.folder import RunFolder
from submission.score.answers import InMemory
from submission.score.scoring import ExpressionScore, score_video
from submission.terminal.progress import Reporter

CALIBRATE_UNITS = 0.1  # cost of a mask; predicting one is 1
POOL_FROM = 1_000_000_000  # pixels x experts from which starting processes pays
VOTE, EMPTY = "vote", "empty"


def calibrate_run(
    recipe: Recipe, split: Split, run: RunFolder, share: float, kinds: Sequence[str],
    reporter: Reporter,
) -> tuple[Calibration, Table]:  # fmt: skip
    """Return the gate that is best for a run on a labelled split, and the table it comes from.

    `kinds` are the kinds of evidence that may be used; () for all that the run has. Raises
    InputError where the split has no labels, no no-target sentence or only one video, or where a
    kind is asked for that the run lacks.
    """
    _refuse(split, share)
    refuse_missing(recipe, split, run.store)
    table = collect(recipe, split, run, reporter)
    if missing := [name for name in kinds if name not in table.kinds]:
        known = ", ".join(table.kinds) or "none"
        raise InputError(
            f"evidence that this run lacks, or that is equal for all its sentences: "
            f"{', '.join(missing)}. It has: {known}"
        )
    if not table.kinds:
        raise InputError(f"{run.path}: nothing tells its sentences apart; is the run whole?")
    found = calibrate(table, share, kinds or table.kinds)
    experts = tuple(expert.name for expert in recipe.experts)
    judge = _judge(recipe, run.store) if found.gate.reads_judge else None
    return replace(found, gate=replace(found.gate, experts=experts, judge=judge)), table


def _judge(recipe: Recipe, store: PredictionStore) -> Calibrated | None:
    """The judge that has answered; the store's record says what it was, the recipe its name."""
    record = store.identity(EXISTENCE)
    if recipe.judge is None or record is None:
        return None
    settings = record["settings"]
    return Calibrated(
        recipe.judge.checkpoint, settings["frames"], settings["max_pixels"], record["files"]
    )


def collect(recipe: Recipe, split: Split, run: RunFolder, reporter: Reporter) -> Table:
    """Return evidence and outcome of every sentence of a split with ground truth."""
    reporter.stage("calibrate")
    truth = read_ground_truth(split)
    judges = tuple(judge.name for judge in recipe.judges)
    rows: dict[str, list[_Row]] = {}
    work = sum(v.num_masks * v.size[0] * v.size[1] for v in split.videos) * len(recipe.experts)
    with open_pool(pays=work >= POOL_FROM) as pool:
        tasks = (
            _Task(video, truth.part(video), run.store.folder, recipe.voting, judges)
            for video in split.videos
        )
        calls = ((task.video, _look, (task,)) for task in tasks)
        for number, (video, found) in enumerate(work_through(pool, calls), 1):
            rows[video.name] = found
            units = video.num_masks * CALIBRATE_UNITS
            reporter.advance(units, f"video {number}/{len(split.videos)}")
    return _table([rows[video.name] for video in split.videos])


def _refuse(split: Split, share: float) -> None:
    if split.mask_file is None:
        raise InputError(f"split {split.name} has no ground truth: calibrate on one that has")
    if not 0 < share < 1:
        raise InputError(f"--share {share}: it must lie between 0 and 1, such as 0.04")
    without = split.num_without_target
    if without == 0:
        raise InputError(
            f"split {split.name} has no sentence without a target ({split.meta_file.name}): there "
            "is nothing to calibrate on. MeViS v2 has such sentences: meta_expressions_v2.json"
        )
    if without == split.num_sentences or len(split.videos) < 2:
        raise InputError(
            f"split {split.name}: calibrating needs sentences of both sorts and two videos at least"
        )


@dataclass(frozen=True)
class _Task:
    """All that a process needs to look at one video."""

    video: Video
    truth: GroundTruth
    store: Path
    voting: Voting
    judges: tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    """One sentence: its evidence, and the scores of the vote and of empty masks."""

    evidence: Mapping[str, float]
    vote: ExpressionScore
    empty: ExpressionScore


def _look(task: _Task) -> list[_Row]:
    store, video = PredictionStore(task.store), task.video
    evidence, votes = {}, {}
    for one in video.expressions:
        answers = task.voting.read(store, video, one)
        votes[one.id] = task.voting.vote(answers)
        odds = read_odds(store, video, one, task.judges)
        evidence[one.id] = evidence_of(task.voting, answers, votes[one.id], odds)
    nothing = Track.empty(video.size, len(video.frame_names))
    empty = {one.id: nothing for one in video.expressions}
    scores = score_video(video, task.truth, [InMemory(VOTE, votes), InMemory(EMPTY, empty)])
    return [
        _Row(evidence[one.id], vote, blank)
        for one, vote, blank in zip(video.expressions, scores[VOTE], scores[EMPTY], strict=True)
    ]


def _table(videos: Sequence[Sequence[_Row]]) -> Table:
    rows = [row for video in videos for row in video]
    numbers = np.repeat(np.arange(len(videos)), [len(video) for video in videos])
    return Table(
        numbers,
        {name: np.array([row.evidence.get(name, np.nan) for row in rows]) for name in KINDS},
        np.array([not row.vote.has_target for row in rows]),
        np.array([(row.vote.j + row.vote.f) / 2 for row in rows]),
        np.array([(row.empty.j + row.empty.f) / 2 for row in rows]),
        np.array([row.vote.found_any for row in rows]),
    )
