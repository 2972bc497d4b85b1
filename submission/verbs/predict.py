"""The words of `predict`; no logic of their own."""

from submission.terminal.progress import Reporter
from submission.verbs.run import REAL, add_prediction, make_run, tell_plan
from submission.verbs.verb import Arguments, Verb


def _predict(arguments: Arguments, reporter: Reporter) -> None:
    run = make_run(arguments, reporter)
    if arguments.dry_run:
        tell_plan(run, reporter)
        return
    run.predict()
    reporter.answer(predictions=run.folder.store.folder)
    reporter.result(f"predictions  {run.folder.store.folder}")


VERB = Verb(
    "predict", "let every expert answer all sentences; resumes", f"{REAL} --shard 1/8",
    add_prediction, _predict, place=20,
)  # fmt: skip
