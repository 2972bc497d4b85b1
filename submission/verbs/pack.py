"""The words of `pack`; no logic of their own."""

from submission.terminal.progress import Reporter
from submission.verbs.run import REAL, add_words, make_run
from submission.verbs.verb import Arguments, Verb


def _pack(arguments: Arguments, reporter: Reporter) -> None:
    run = make_run(arguments, reporter)
    run.pack()
    reporter.answer(zip=run.folder.zip)
    reporter.result(f"zip      {run.folder.zip}")


VERB = Verb("pack", "pack the PNGs into submission.zip", REAL, add_words, _pack, place=40)
