"""Name what somebody probably meant: a key, a verb, a name that is nearly right."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return words to put behind an error, such as '; did you mean "frames"?', or nothing."""
    found = get_close_matches(word, list(known), n=1)
    return f'; did you mean "{found[0]}"?' if found else ""
