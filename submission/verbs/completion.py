"""Completion of verbs, options and paths in the user's shell: `--print-completion bash`."""

import argparse
from collections.abc import Iterator

import shtab

from submission.verbs.verb import user_path

PATHS = {"--data", "--lock", "--recipe"}  # texts that are a path or a name that comes along


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Let the finished parser print what a shell needs to complete its words."""
    for action in _actions(parser):
        if action.type is user_path or PATHS & set(action.option_strings):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    shtab.add_argument_to(
        parser, ["--print-completion"], help="print what makes this shell complete words, and end"
    )


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from _actions(verb)
