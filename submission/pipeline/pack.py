"""CPU half: the PNGs of the vote -> the zip that is uploaded; no torch here.

It is packed again only where a vote, the team or the code has changed, or the zip itself.
"""

from typing import Any

from submission.code_digest import code_digest
from submission.dataset.records import Split
from submission.output.zip_file import write_zip
from submission.pipeline.vote import vote_records
from submission.recipes.recipe import Recipe
from submission.run.folder import RunFolder
from submission.run.stages import file_states, sha256
from submission.terminal.progress import Reporter

PACK_UNITS = 0.005  # cost of a mask; predicting one is 1


def pack(recipe: Recipe, split: Split, run: RunFolder, reporter: Reporter) -> None:
    """Pack the PNGs into the submission zip; the same PNGs give the same bytes."""
    if is_packed(recipe, split, run):
        return
    reporter.stage("pack")
    count = reporter.counter(split.num_masks, PACK_UNITS, "masks")
    write_zip(run.annotations, split, run.zip, recipe.team, on_file=count)
    inputs = _inputs(recipe, split, run)
    run.stages.record(
        "pack", inputs, zip=file_states([run.zip]), sha256=sha256(run.zip), votes=inputs["votes"]
    )


def is_packed(recipe: Recipe, split: Split, run: RunFolder) -> bool:
    """Tell whether the zip is that of the last vote on these videos, byte for byte."""
    record = run.stages.read("pack")
    return (
        run.stages.is_current("pack", _inputs(recipe, split, run))
        and record.get("zip") == file_states([run.zip])
        and record.get("sha256") == sha256(run.zip)  # a bad disk keeps the time
    )


def is_outvoted(split: Split, run: RunFolder) -> bool:
    """Tell whether masks were voted on again since the zip was packed, as far as records say."""
    return run.stages.read("pack").get("votes") not in (None, vote_records(split, run))


def _inputs(recipe: Recipe, split: Split, run: RunFolder) -> dict[str, Any]:
    return {
        "votes": vote_records(split, run),
        "videos": [video.name for video in split.videos],
        "team": recipe.team,
        "code": code_digest(__name__),
    }
