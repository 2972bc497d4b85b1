"""What a verb of the command line is: its help, its example, and what all verbs understand.

A module of this folder that has a VERB is a verb; whoever adds one adds a file and no more.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from submission.did_you_mean import did_you_mean
from submission.errors import InputError
from submission.files.user_paths import expand
from submission.recipes.find import packaged_recipes
from submission.run.results import is_run
from submission.terminal.progress import Reporter

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]

Arguments = argparse.Namespace


@dataclass(frozen=True)
class Verb:
    """A verb: what it is called, which words it understands, and what it does."""

    name: str
    summary: str  # one line of --help
    example: str  # what follows the verb in a call that runs
    add_words: Callable[[argparse.ArgumentParser], None]
    action: Callable[[Arguments, Reporter], None]
    place: int = 0  # in --help: along the way of the data, in tens, so that others fit between

    def add_to(self, verbs: "SubParsers") -> None:
        """Add its parser to those of a command or a group."""
        parser = verbs.add_parser(
            self.name, help=self.summary, description=self.summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        parser.epilog = f"example:\n  {parser.prog} {self.example}"
        parser.set_defaults(action=self.action)
        add_common(parser, default=argparse.SUPPRESS)
        self.add_words(parser)


@dataclass(frozen=True)
class Group:
    """A word with verbs below it."""

    name: str
    summary: str
    verbs: tuple[Verb, ...]
    place: int  # as a verb's

    def add_to(self, verbs: "SubParsers") -> None:
        """Add the parsers of all of it to those of a command."""
        parser = verbs.add_parser(self.name, help=self.summary, description=self.summary)
        below = parser.add_subparsers(dest=f"{self.name}_verb", required=True, metavar="VERB")
        for verb in self.verbs:
            verb.add_to(below)


def user_path(text: str) -> Path:
    """A path of the command line, for argparse; "~" is replaced, where no shell has done so."""
    try:
        return expand(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_common(parser: argparse.ArgumentParser, default: Any) -> None:
    """Add what is understood before the verb and after it.

    The default is that of the parser before the verb; SUPPRESS in a verb's leaves it as it is.
    """
    for names, words in {
        ("-v", "--verbose"): "say more",
        ("--quiet",): "no progress: only the answer, and what goes wrong",
        (
            "--json",
        ): "the answer as a JSON object on stdout, progress as a JSON object a line on stderr",
        ("--debug",): "show where an error comes from",
    }.items():
        parser.add_argument(*names, action="store_true", default=default, help=words)


class Parser(argparse.ArgumentParser):
    """A parser that names the nearest word or option where one is unknown."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return the arguments; for a word too many end with the option that it belongs to."""
        found, left = self.parse_known_args(args, namespace)
        if left:
            verb = _parser_of(self, found)
            meant = _meant_option(left, found, options_of(verb))
            verb.error(
                f"unrecognized arguments: {' '.join(left)}{meant or f'; see {verb.prog} --help'}"
            )
        return found

    def error(self, message: str) -> NoReturn:
        word, _, known = message.partition("(choose from ")
        if found := re.search(r"invalid choice: '([^']*)'", word):
            message += did_you_mean(found[1], re.findall(r"[\w.-]+", known))
        elif "are required" in message:
            message += f"; see {self.prog} --help"
        super().error(message)


def _parser_of(parser: argparse.ArgumentParser, found: Arguments) -> argparse.ArgumentParser:
    """Return the parser of the verb that a call names."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return _parser_of(action.choices[getattr(found, action.dest)], found)
    return parser


def _meant_option(words: Sequence[str], found: Arguments, known: set[str]) -> str:
    """Say which option is meant, or is missing before a file or folder that the verb would take."""
    for word in words:
        if word.startswith("--"):
            return did_you_mean(word.partition("=")[0], known)
        options = {
            "recipe": word.endswith(".toml") or word in packaged_recipes(),
            "run": is_run(Path(word)),
            "data": Path(word).is_dir(),
        }
        for name, fits in options.items():
            if fits and getattr(found, name, word) is None:
                return f'; did you mean "--{name} {word}"?'
    return ""


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Return the long options of a parser and of all verbs below it."""
    found = {name for name in parser._option_string_actions if name.startswith("--")}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(*(options_of(verb) for verb in action.choices.values()))
    return found
