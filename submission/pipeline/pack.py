"""CPU half: the PNGs of the vote -> the zip that is uploaded; no torch here.

It is packed again only where a vote, the team or the code has changed, or the zip itself.
"""

from typing import Any

from submission.code_digest import code_digest
from submission.dataset.records import Split
from submission.output.zip_file import write_zip
from submission.pipeline.vote import vote_records
from submission.progress import Reporter
from submission.recipe import Recipe
from submission.run.folder import RunFolder
from submission.run.stages import file_states

PACK_UNITS = 0.005  # cost of a mask; predicting one is 1


def pack(recipe: Recipe, split: Split, run: RunFolder, reporter: Reporter) -> None:
    """Pack the PNGs into the submission zip; the same PNGs give the same bytes."""
    if is_packed(recipe, split, run):
        return
    reporter.stage("pack")
    packed = 0

    def count(files: int) -> None:
        nonlocal packed
        packed += files
        reporter.advance(files * PACK_UNITS, f"{packed} of {split.num_masks} masks")

    write_zip(run.annotations, split, run.zip, recipe.team, on_file=count)
    run.stages.record("pack", _inputs(recipe, split, run), zip=file_states([run.zip]))


def is_packed(recipe: Recipe, split: Split, run: RunFolder) -> bool:
    """Tell whether the zip is that of the last vote on these videos."""
    is_current = run.stages.is_current("pack", _inputs(recipe, split, run))
    return is_current and run.stages.read("pack").get("zip") == file_states([run.zip])


def _inputs(recipe: Recipe, split: Split, run: RunFolder) -> dict[str, Any]:
    return {
        "votes": vote_records(split, run),
        "videos": [video.name for video in split.videos],
        "team": recipe.team,
        "code": code_digest(__name__),
    }
