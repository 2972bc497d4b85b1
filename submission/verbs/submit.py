"""The words of `submit`, and what it says at the end; no logic of their own."""

from pathlib import Path

from submission.dataset.records import Split
from submission.score.table import LEAST, score_lines
from submission.terminal.progress import Reporter
from submission.terminal.tables import aligned, drawing
from submission.upload.competitions import fitting
from submission.verbs.published import published_lines
from submission.verbs.run import REAL, add_prediction, make_run, tell_plan
from submission.verbs.verb import Arguments, Verb

SAMPLE = "mevis-submission submit        (the sample split that comes along)"


def _submit(arguments: Arguments, reporter: Reporter) -> None:
    run = make_run(arguments, reporter)
    if arguments.dry_run:
        tell_plan(run, reporter)
        return
    outcome = run.submit()
    folder = run.folder
    size = folder.zip.stat().st_size / 1e6
    reporter.answer(
        zip=folder.zip, verdict=outcome.verdict.to_json(), report=outcome.report,
        scores=outcome.scores and outcome.scores.means, is_part=run.selection.is_part,
    )  # fmt: skip
    reporter.result(f"zip      {folder.zip} ({size:.2f} MB)")
    found = outcome.verdict.summary().removeprefix(f"{outcome.verdict.path}: ")
    reporter.result(f"verdict  {folder.check}: {found}")
    if outcome.scores is not None:
        reporter.result(f"score    {folder.score}")
        reporter.result("\n".join(score_lines(outcome.scores, drawing(aligned, LEAST))))
    elif run.split.truth_fault:
        reporter.result(f"score    none: {run.split.truth_fault.partition(chr(10))[0].rstrip(':')}")
    if run.recipe.published is not None:
        scores = outcome.scores
        ours = scores.results[scores.choose()].means if scores else None
        reporter.result("\n".join(published_lines(run.recipe.published, run.split.name, ours)))
    reporter.result(f"report   {outcome.report}")
    if run.selection.is_part:
        reporter.warn("only a part of the split was asked for: this zip is not for upload")
    else:
        for line in upload_lines(run.split, folder.path):
            reporter.result(line.rstrip())


def upload_lines(split: Split, run: Path) -> list[str]:
    """Return the command that hands a run in, for each competition that asks for its split."""
    return [
        f"upload   {one.title}: mevis-submission upload {run} --competition {one.id}\n"
        for one in fitting(split)
    ]


VERB = Verb(
    "submit", "predict, vote, pack, check, score with ground truth, report", f"{REAL}\n  {SAMPLE}",
    add_prediction, _submit, place=10,
)  # fmt: skip
