"""The words that name a weights.lock and the checkpoints that it pins."""

import argparse

from submission.verbs.verb import Arguments, user_path
from submission.weights.folders import Weights, weights_folder
from submission.weights.lock_file import default_lock, read_lock


def add_lock(verb: argparse.ArgumentParser) -> None:
    """Add the option that names another lock."""
    verb.add_argument("--lock", type=user_path, metavar="FILE",
                      help="another weights.lock than the one that comes along")  # fmt: skip


def weights_of(arguments: Arguments) -> Weights:
    """Return the lock and the folder that a call names, or the default ones."""
    lock = read_lock(getattr(arguments, "lock", None) or default_lock())
    return Weights(lock, getattr(arguments, "dir", None) or weights_folder())
