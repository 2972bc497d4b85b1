"""How a verb of the command line is made: its help, its example, and what all verbs understand."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from submission.did_you_mean import did_you_mean
from submission.errors import InputError
from submission.files.user_paths import expand
from submission.terminal.progress import Reporter

Arguments = argparse.Namespace
Action = Callable[[Arguments, Reporter], None]


def user_path(text: str) -> Path:
    """A path of the command line, for argparse; "~" is replaced, where no shell has done so."""
    try:
        return expand(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str,
    example: str, action: Action,
) -> argparse.ArgumentParser:  # fmt: skip
    """Add a verb and return its parser; `example` is what follows the verb in a runnable call."""
    verb = verbs.add_parser(
        name, help=summary, description=summary,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    verb.epilog = f"example:\n  {verb.prog} {example}"
    verb.set_defaults(action=action)
    add_common(verb, default=argparse.SUPPRESS)
    return verb


def add_common(parser: argparse.ArgumentParser, default: Any) -> None:
    """Add what is understood before the verb and after it.

    The default is that of the parser before the verb; SUPPRESS in a verb's leaves it as it is.
    """
    for names, words in {
        ("-v", "--verbose"): "say more",
        ("--quiet",): "no progress: only the answer, and what goes wrong",
        ("--json",): "the answer as a JSON object on stdout, progress as one a line on stderr",
        ("--debug",): "show where an error comes from",
    }.items():
        parser.add_argument(*names, action="store_true", default=default, help=words)


class Parser(argparse.ArgumentParser):
    """A parser that names the nearest word or option where one is unknown."""

    def error(self, message: str) -> NoReturn:
        word, _, known = message.partition("(choose from ")
        if found := re.search(r"invalid choice: '([^']*)'", word):
            message += did_you_mean(found[1], re.findall(r"[\w.-]+", known))
        elif found := re.search(r"unrecognized arguments: .*?(--[\w-]+)", message):
            message += did_you_mean(found[1], options_of(self))
        super().error(message)


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Return the long options of a parser and of all verbs below it."""
    found = {name for name in parser._option_string_actions if name.startswith("--")}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(*(options_of(verb) for verb in action.choices.values()))
    return found
