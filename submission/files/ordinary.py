"""Read files that others made: ordinary ones only, and no more of them than they may hold.

A named pipe never answers, a device never ends, and a file of zeros takes all memory; here they
become errors before a byte is kept.
"""

import os
import stat
from io import BufferedReader
from pathlib import Path

SMALL = 1 << 20  # bytes of a file of text, such as team.json


def open_ordinary(path: Path) -> BufferedReader:
    """Open a file for reading; links are followed. Raises OSError for what is no ordinary file."""
    # Without waiting: opening a named pipe would last until somebody writes into it.
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    kind = os.fstat(file.fileno()).st_mode
    if not stat.S_ISREG(kind):
        file.close()
        raise OSError(f"not an ordinary file but {_kind(kind)}")
    return file


def read_ordinary(path: Path, most: int | None = None) -> bytes:
    """Return the bytes of a file; links are followed.

    Raises OSError, with a reason as its text, for what is no ordinary file and for one of more
    than `most` bytes, which is not read then.
    """
    with open_ordinary(path) as file:
        if most is None:
            return file.read()
        size = os.fstat(file.fileno()).st_size
        content = file.read(most + 1) if size <= most else b""
    if size > most or len(content) > most:
        raise OSError(too_large(max(size, len(content)), most))
    return content


def read_head(path: Path, count: int) -> bytes:
    """Return the first bytes of a file of any size; raise OSError as `read_ordinary`."""
    with open_ordinary(path) as file:
        return file.read(count)


def too_large(found: int, most: int) -> str:
    """Say that a file is larger than what it should hold can be; both in bytes."""
    return f"{found:,} bytes, but what belongs here takes at most {most:,}"


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    return "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "a socket"
