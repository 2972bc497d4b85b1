"""The words of `weights lock|fetch|verify|list`; no logic of their own."""

import argparse

from submission.terminal.progress import Reporter
from submission.terminal.tables import drawing, in_columns
from submission.verbs.lock import add_lock, weights_of
from submission.verbs.verb import Arguments, Group, Verb, user_path
from submission.weights.commands import fetch_weights, list_weights, lock_weights, verify_weights
from submission.weights.fetch import CONNECTIONS
from submission.weights.listing import LEAST


def _add_names(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("names", nargs="+", metavar="NAME", help="see: weights list")


def _add_place(verb: argparse.ArgumentParser) -> None:
    add_lock(verb)
    verb.add_argument("--dir", type=user_path, metavar="DIR",
                      help="where checkpoints lie by name (default: MEVIS_WEIGHTS, else a "
                      "folder in the user's cache)")  # fmt: skip


def _add_lock(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--update", action="store_true", help="move to the newest revision")
    _add_names(verb)
    _add_place(verb)


def _add_fetch(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--connections", type=int, default=CONNECTIONS, metavar="N",
                      help=f"files at a time (default: {CONNECTIONS})")  # fmt: skip
    _add_names(verb)
    _add_place(verb)


def _add_verify(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("names", nargs="*", metavar="NAME", help="default: all that are there")
    _add_place(verb)


def _lock(arguments: Arguments, reporter: Reporter) -> None:
    lock_weights(arguments.names, weights_of(arguments), arguments.update)


def _fetch(arguments: Arguments, reporter: Reporter) -> None:
    fetch_weights(arguments.names, weights_of(arguments), reporter, arguments.connections)


def _verify(arguments: Arguments, reporter: Reporter) -> None:
    verify_weights(arguments.names, weights_of(arguments), reporter)


def _list(arguments: Arguments, reporter: Reporter) -> None:
    list_weights(weights_of(arguments), reporter, drawing(in_columns, LEAST))


LOCK = Verb(
    "lock", "ask the Hub for what the lock leaves unresolved, and write it", "Sa2VA-8B",
    _add_lock, _lock,
)  # fmt: skip
FETCH = Verb(
    "fetch", "download checkpoints as the lock says; resumes", "Sa2VA-8B", _add_fetch, _fetch
)
VERIFY = Verb(
    "verify", "hash what is on disk and compare it with the lock; offline", "Sa2VA-8B",
    _add_verify, _verify,
)  # fmt: skip
LIST = Verb("list", "sizes, what is pinned, what is there", "--dir /weights", _add_place, _list)
VERB = Group(
    "weights", "pin, fetch and verify the released checkpoints", (LOCK, FETCH, VERIFY, LIST),
    place=120,
)  # fmt: skip
