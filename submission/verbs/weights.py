"""The words of `weights lock|fetch|verify|list` and of `recipes`; no logic of their own."""

import argparse

from submission.terminal.progress import Reporter
from submission.terminal.tables import drawing
from submission.verbs.recipe_list import LEAST as LEAST_OF_RECIPES
from submission.verbs.recipe_list import recipe_lines
from submission.verbs.verb import Arguments, add_verb, user_path
from submission.weights.commands import fetch_weights, list_weights, lock_weights, verify_weights
from submission.weights.fetch import CONNECTIONS
from submission.weights.folders import Weights, weights_folder
from submission.weights.listing import LEAST, in_columns
from submission.weights.lock_file import default_lock, read_lock


def add_weights(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `weights` with its verbs."""
    summary = "pin, fetch and verify the released checkpoints"
    group = verbs.add_parser("weights", help=summary, description=summary)
    below = group.add_subparsers(dest="weights_verb", required=True, metavar="VERB")
    lock = add_verb(below, "lock", "ask the Hub for what the lock leaves unresolved, and write it",
                    "Sa2VA-8B", _lock)  # fmt: skip
    lock.add_argument("--update", action="store_true",
                      help="move to the newest revision")  # fmt: skip
    fetch = add_verb(below, "fetch", "download checkpoints as the lock says; resumes", "Sa2VA-8B",
                     _fetch)  # fmt: skip
    fetch.add_argument("--connections", type=int, default=CONNECTIONS, metavar="N",
                       help=f"files at a time (default: {CONNECTIONS})")  # fmt: skip
    verify = add_verb(below, "verify", "hash what is on disk and compare it with the lock; offline",
                      "Sa2VA-8B", _verify)  # fmt: skip
    for verb in (lock, fetch):
        verb.add_argument("names", nargs="+", metavar="NAME", help="see: weights list")
    verify.add_argument("names", nargs="*", metavar="NAME", help="default: all that are there")
    listing = add_verb(below, "list", "sizes, what is pinned, what is there", "--dir /weights",
                       _list)  # fmt: skip
    for verb in (lock, fetch, verify, listing):
        add_lock(verb)
        verb.add_argument("--dir", type=user_path, metavar="DIR",
                          help="where checkpoints lie by name (default: MEVIS_WEIGHTS, else a "
                          "folder in the user's cache)")  # fmt: skip


def add_recipes(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `recipes`."""
    verb = add_verb(verbs, "recipes", "the packaged recipes, with download and memory",
                    "--lock weights.lock", _recipes)  # fmt: skip
    add_lock(verb)


def add_lock(verb: argparse.ArgumentParser) -> None:
    """Add the option that names another lock."""
    verb.add_argument("--lock", type=user_path, metavar="FILE",
                      help="another weights.lock than the one that comes along")  # fmt: skip


def weights_of(arguments: Arguments) -> Weights:
    """Return the lock and the folder that a call names, or the default ones."""
    lock = read_lock(getattr(arguments, "lock", None) or default_lock())
    return Weights(lock, getattr(arguments, "dir", None) or weights_folder())


def _lock(arguments: Arguments, reporter: Reporter) -> None:
    lock_weights(arguments.names, weights_of(arguments), arguments.update)


def _fetch(arguments: Arguments, reporter: Reporter) -> None:
    fetch_weights(arguments.names, weights_of(arguments), reporter, arguments.connections)


def _verify(arguments: Arguments, reporter: Reporter) -> None:
    verify_weights(arguments.names, weights_of(arguments), reporter)


def _list(arguments: Arguments, reporter: Reporter) -> None:
    list_weights(weights_of(arguments), drawing(in_columns, LEAST))


def _recipes(arguments: Arguments, reporter: Reporter) -> None:
    print(
        "\n".join(recipe_lines(weights_of(arguments).lock, drawing(in_columns, LEAST_OF_RECIPES)))
    )
