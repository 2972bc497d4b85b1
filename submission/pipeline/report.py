"""The page about a run: the vote as the recipe has it now, beside the scores that hold for it.

Knows what was voted, packed and scored last: no number stands beside masks that it is not of.
"""

from collections.abc import Mapping
from pathlib import Path

from submission.dataset.records import Split
from submission.pipeline.before_vote import refuse_missing
from submission.pipeline.pack import is_packed
from submission.pipeline.score import is_scored
from submission.pipeline.vote import gate_decisions, is_voted
from submission.recipes.recipe import Recipe
from submission.report.writing import write_report
from submission.run.folder import RunFolder
from submission.score.score_file import VOTE, Result, read_scores
from submission.terminal.progress import Reporter

OLD_SCORE = (
    "The score of this run is of other answers or masks than those that are here now, and is not "
    "shown; score them with: mevis-submission score"
)
NO_TRUTH = (
    "The score of this run was made with a ground truth that is not here now, and is not shown"
)
OLD_VOTE = (
    "The vote that is shown here is not the one that was scored, so its score is left out; vote, "
    "pack and score again with: mevis-submission submit"
)

_LINES = 4  # of the ground truth's faults


def report(recipe: Recipe, split: Split, run: RunFolder, reporter: Reporter) -> Path:
    """Write the run's page and return its path.

    Raises FaultyInput where an answer that the vote needs is missing.
    """
    refuse_missing(recipe, split, run.store)
    results, notes = _scores_that_hold(recipe, split, run)
    for note in notes:
        reporter.warn(note)
    gate = {video.name: gate_decisions(recipe, video, run) for video in split.videos}
    return write_report(split, run, recipe.voting, reporter, results, notes, gate)


def _scores_that_hold(
    recipe: Recipe, split: Split, run: RunFolder
) -> tuple[Mapping[str, Result], tuple[str, ...]]:
    """Return the scores of what is there now, and what to say about those that are left out."""
    if split.truth_fault:
        return {}, (f"No score: {_shortened(split.truth_fault)}",)
    if not run.score.exists():
        return {}, ()
    if split.mask_file is None:
        return {}, (NO_TRUTH,)
    if not is_scored(split, run):
        return {}, (OLD_SCORE,)
    results = dict(read_scores(run.score).results)
    if VOTE in results and not (is_voted(recipe, split, run) and is_packed(recipe, split, run)):
        del results[VOTE]
        return results, (OLD_VOTE,)
    return results, ()


def _shortened(fault: str) -> str:
    """The first lines of a long list of faults."""
    lines = fault.splitlines()
    return "\n".join(lines if len(lines) <= _LINES else [*lines[:_LINES], "..."])
