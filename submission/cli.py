"""The command line: all verbs of verbs/ in one parser, and one call; no logic of its own."""

import argparse
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from pkgutil import iter_modules

from submission import __version__, verbs
from submission.recipes.find import SAMPLE, recipe_series
from submission.terminal.answering import answering
from submission.terminal.ending import DONE, end_with, stoppable
from submission.terminal.progress import Mode, Reporter
from submission.verbs.completion import add_completion
from submission.verbs.verb import Arguments, Group, Parser, Verb, add_common

# torch's threads wait for one another by spinning, 300,000 turns unless this says otherwise: where
# other work wants the cores, too, a run takes ten times as long then (docs/log.md).
FEW_TURNS = ("GOMP_SPINCOUNT", "1000")


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status.

    0 done, 1 faults in a result, 2 wrong input, 3 an error that nobody foresaw, 130 interrupted.
    """
    os.environ.setdefault(*FEW_TURNS)  # read when torch is loaded, which no module here does yet
    parser, words = build_parser(), sys.argv[1:] if words is None else words
    if empty := _empty(words):  # it would mean a default, or the folder where one stands
        parser.error(f"{empty} is empty; is a variable of the shell not set?")
    try:
        arguments = parser.parse_args(words)
    except OSError as error:  # --print-completion writes: to a reader that has enough, a full disk
        return end_with(error, Reporter("plain"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be Unicode
    with stoppable():
        reporter = Reporter(_mode(arguments), verbose=arguments.verbose)
        try:
            return _run(arguments, reporter)
        except KeyboardInterrupt as error:  # a second one, while the first was being told
            return end_with(error, reporter)


def _empty(words: Sequence[str]) -> str:
    """The first option without its value, or "an argument"; empty for none."""
    for before, word in pairwise(["", *words]):
        if not word:
            return before if before.startswith("--") else "an argument"
        if re.fullmatch(r"--[\w-]+=", word):
            return word[:-1]
    return ""


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
    below = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in find_verbs():
        verb.add_to(below)
    add_completion(parser)
    return parser


def find_verbs() -> list[Verb | Group]:
    """Return what the modules of verbs/ declare, in the order of --help."""
    names = (f"{verbs.__name__}.{module.name}" for module in iter_modules(verbs.__path__))
    found = (getattr(import_module(name), "VERB", None) for name in names)
    return sorted(filter(None, found), key=lambda verb: verb.place)


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
