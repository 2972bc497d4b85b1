"""Name what somebody probably meant: a key, a verb, a name that is nearly right."""

from collections.abc import Iterable
from difflib import get_close_matches

ALIKE = 0.7  # of 1; at 0.6 "--base" is offered for "--framse"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return words to put behind an error, such as '; did you mean "frames"?', or nothing."""
    found = nearest(word, known)
    return f'; did you mean "{found}"?' if found else ""


def nearest_or_all(word: str, known: Iterable[str], command: str) -> str:
    """Return words to put behind an error: the nearest, and the command that lists all of them.

    Where none is near, all are named: a line of thirty names hides the one that is meant.
    """
    names = list(known)
    if meant := did_you_mean(word, names):
        return f"{meant} (all: {command})"
    return f"; known: {', '.join(names) or 'none'}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most like this one, None where none is.

    Case, "_" for "-", dashes in front and an owner ("OWNER/NAME", as on the Hub) make no
    difference.
    """
    plain = {_plain(name): name for name in known}
    asked = _plain(word)
    for spelt in (asked, asked.rpartition("/")[2]):
        if spelt in plain:
            return plain[spelt]
    found = get_close_matches(asked.rpartition("/")[2], plain, n=1, cutoff=ALIKE)
    return plain[found[0]] if found else None


def _plain(word: str) -> str:
    return word.strip().casefold().replace("_", "-").replace(" ", "-").lstrip("-")
