"""How a verb of the command line is made: its help, its example, and what all verbs understand."""

import argparse
from collections.abc import Callable
from pathlib import Path

from submission.errors import InputError
from submission.progress import Reporter
from submission.user_paths import expand

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
    verb.add_argument("-v", "--verbose", action="store_true", help="say more")
    verb.add_argument("--quiet", action="store_true", help="say only what goes wrong")
    verb.add_argument("--json", action="store_true", help="one JSON object a line on stderr")
    verb.add_argument("--debug", action="store_true",
                      help="show where an error comes from")  # fmt: skip
    return verb
