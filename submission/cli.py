"""The command line: all verbs in one parser, and one call; no logic of its own."""

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from submission import __version__
from submission.recipe import SAMPLE, recipe_series
from submission.terminal.answering import answering
from submission.terminal.ending import DONE, end_with, stoppable
from submission.terminal.progress import Mode, Reporter
from submission.verbs.calibrate import add_calibrate
from submission.verbs.check import add_check
from submission.verbs.completion import add_completion
from submission.verbs.container import add_container
from submission.verbs.run import add_run_verbs
from submission.verbs.score import add_compare, add_score
from submission.verbs.upload import add_upload
from submission.verbs.verb import Arguments, Parser, add_common
from submission.verbs.weights import add_recipes, add_weights


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status.

    0 done, 1 faults in a result, 2 wrong input, 3 an error that nobody foresaw, 130 interrupted.
    """
    arguments = build_parser().parse_args(words)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be Unicode
    with stoppable():
        reporter = Reporter(_mode(arguments), verbose=arguments.verbose)
        try:
            return _run(arguments, reporter)
        except KeyboardInterrupt as error:  # a second one, while the first was being told
            return end_with(error, reporter)


def _run(arguments: Arguments, reporter: Reporter) -> int:
    with reporter:
        try:
            for one in _one_recipe_each(arguments):
                with answering(one.verb, reporter):
                    one.action(one, reporter)
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:
            return end_with(error, reporter, debug=arguments.debug)
    return DONE


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser: argparse.ArgumentParser = Parser(
        prog="mevis-submission", description="From a MeViS split to a checked submission zip."
    )
    add_common(parser, default=False)
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    add_run_verbs(verbs)
    add_check(verbs)
    add_score(verbs)
    add_compare(verbs)
    add_calibrate(verbs)
    add_upload(verbs)
    add_container(verbs)
    add_weights(verbs)
    add_recipes(verbs)
    add_completion(parser)
    return parser


def _one_recipe_each(arguments: Arguments) -> Iterator[Arguments]:
    """A call on a series of recipes is one call for each, with a run folder of its own."""
    series = recipe_series(getattr(arguments, "recipe", None) or SAMPLE)
    if len(series) == 1:
        yield arguments
        return
    for recipe in series:
        run = arguments.run / Path(recipe).stem if arguments.run else None
        yield Arguments(**{**vars(arguments), "recipe": recipe, "run": run})


def _mode(arguments: Arguments) -> Mode:
    if arguments.json:
        return "json"
    if arguments.quiet:
        return "quiet"
    return "bar" if sys.stderr.isatty() else "plain"
