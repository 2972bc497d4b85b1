"""Read files that others made: ordinary ones only, and no more of them than they may hold.

A named pipe never answers, a device never ends, and a file of zeros takes all memory; here they
become errors before a byte is kept.
"""

import os
import stat
from pathlib import Path

SMALL = 1 << 20  # bytes of a file of text, such as team.json


def read_ordinary(path: Path, most: int | None = None) -> bytes:
    """Return the bytes of a file; links are followed.

    Raises OSError, with a reason as its text, for what is no ordinary file and for one of more
    than `most` bytes, which is not read then.
    """
    # Without waiting: opening a named pipe would last until somebody writes into it.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        kind = os.fstat(handle)
        if not stat.S_ISREG(kind.st_mode):
            raise OSError(f"not an ordinary file but {_kind(kind.st_mode)}")
        if most is None:
            return file.read()
        content = file.read(most + 1) if kind.st_size <= most else b""
    if kind.st_size > most or len(content) > most:
        raise OSError(too_large(max(kind.st_size, len(content)), most))
    return content


def too_large(found: int, most: int) -> str:
    """Say that a file is larger than what it should hold can be; both in bytes."""
    return f"{found:,} bytes, but what belongs here takes at most {most:,}"


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    return "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "a socket"
