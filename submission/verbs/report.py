"""The words of `report`; no logic of their own."""

from submission.did_you_mean import did_you_mean
from submission.errors import InputError
from submission.report.writing import REPORT_UNITS
from submission.run.record import NAME as RECORD
from submission.run.results import is_run, recipe_of_run
from submission.terminal.progress import Reporter
from submission.verbs.run import add_words, make_run
from submission.verbs.verb import Arguments, Verb


def _report(arguments: Arguments, reporter: Reporter) -> None:
    told = (arguments.recipe, arguments.data, arguments.split, arguments.meta)
    alone = arguments.run is not None and not any(told)
    if alone and arguments.set:
        raise InputError("--set changes a recipe: name it with --recipe")
    if alone and not is_run(arguments.run):
        if inside := sorted(path.parent for path in arguments.run.glob(f"*/{RECORD}")):
            raise InputError(f"{arguments.run}: runs lie in it; name one: {inside[0]}")
        others = [path.parent.name for path in arguments.run.parent.glob(f"*/{RECORD}")]
        meant = did_you_mean(arguments.run.name, others) or "; begin it with submit or predict"
        raise InputError(f"{arguments.run}: no run is there, it has no {RECORD}{meant}")
    run = make_run(arguments, reporter, recipe_of_run(arguments.run) if alone else None)
    reporter.plan(run.split.num_masks * REPORT_UNITS)
    page = run.report()
    reporter.answer(report=page)
    reporter.result(f"report   {page}")


VERB = Verb(
    "report", "write a page that shows scores, agreement and every mask", "--run runs/mine",
    add_words, _report, place=50,
)  # fmt: skip
