"""Paths as people write them: "~" and "~name" stand for the home folders of users."""

from pathlib import Path

from submission.errors import InputError


def expand(text: str | Path) -> Path:
    """Return the path with "~" or "~name" at its beginning replaced.

    Raises InputError for a user who is not known on this machine.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise InputError(
            f"{text}: this machine knows no home folder for it; write the whole path"
        ) from None
