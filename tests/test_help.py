"""What --help says: every word that a verb understands is explained, and the page has all verbs."""

import argparse
import re
from pathlib import Path

from submission.cli import build_parser, find_verbs

PAGE = Path(__file__).parents[1] / "docs/commands.md"


def unexplained(parser):
    """Words without help, or whose value is called as the option is: "--data DATA"."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from unexplained(verb)
        elif not action.help:
            yield f"{parser.prog} {action.metavar or action.dest}: no help"
        elif action.nargs != 0 and not action.choices and not action.metavar:
            yield f"{parser.prog} {action.dest}: a value without a name"


def test_every_word_is_explained():
    assert list(unexplained(build_parser())) == []


def test_a_word_that_is_not_would_be_found():
    parser = argparse.ArgumentParser(prog="p")
    parser.add_argument("path", metavar="ZIP")
    parser.add_argument("--data", help="the folder")
    assert list(unexplained(parser)) == ["p ZIP: no help", "p data: a value without a name"]


def test_the_page_has_every_verb_and_no_other():
    table = PAGE.read_text().partition("| verb |")[2].partition("\n\n")[0]
    named = {
        name for row in table.splitlines() for name in re.findall("`(.+?)`", row.split("|")[1])
    }
    assert named == {verb.name for verb in find_verbs()}
