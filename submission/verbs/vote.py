"""The words of `vote`; no logic of their own."""

from submission.terminal.progress import Reporter
from submission.verbs.run import REAL, add_words, make_run
from submission.verbs.verb import Arguments, Verb


def _vote(arguments: Arguments, reporter: Reporter) -> None:
    run = make_run(arguments, reporter)
    run.vote()
    reporter.answer(masks=run.folder.annotations)
    reporter.result(f"masks    {run.folder.annotations}")


VERB = Verb("vote", "join the experts' masks and write the PNGs", REAL, add_words, _vote, place=30)
