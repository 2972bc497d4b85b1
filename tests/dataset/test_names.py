"""Which names of a meta file may become folders and files; here those at the limits."""

import pytest

from submission.dataset.names import LONGEST_NAME, name_fault


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (".", "means a folder"),
        ("..", "means a folder"),
        ("...", "means a folder"),
        ("a\x1fb", "control character"),
        ("a\x7fb", "control character"),
        ("x" * (LONGEST_NAME + 1), "longer than"),
        ("\u00e9" * (LONGEST_NAME // 2 + 1), "longer than"),  # two bytes each
        ("x" * 260, "longer than"),
    ],
)
def test_names_beyond_the_limits_are_refused(name, words):
    assert words in (name_fault(name) or "")


@pytest.mark.parametrize("name", [".a", "a b", "x" * LONGEST_NAME, "\u00e9" * (LONGEST_NAME // 2)])
def test_names_at_the_limits_are_taken(name):
    assert name_fault(name) is None
