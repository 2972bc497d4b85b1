"""What is remembered in the user's cache: small JSON files whose loss costs time and nothing else.

Their folder is XDG_CACHE_HOME, else ~/.cache, and in it the kit's own.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from submission.errors import InputError
from submission.files.strict_json import read_object
from submission.files.whole import write_json

NO_CACHE = Path(os.devnull) / "no-home"  # below a file: nothing can be read or written there

_KEEPING = threading.Lock()  # one thread at a time adds to a memory

Memory = dict[str, Any]


def cache_folder() -> Path:
    """The kit's folder in the user's cache.

    For a user without a home (an id that no passwd file has) it is one that never is there.
    """
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(named or Path.home() / ".cache") / "mevis-submission"
    except RuntimeError:
        return NO_CACHE


def keep(path: Path, entries: Memory) -> None:
    """Add to a memory; where it cannot be written, it stays as it was."""
    # Read again just before writing: another process may have added to it.
    with _KEEPING, suppress(OSError):
        # A read-only home or folder (a container) costs time at the next start, nothing else.
        write_json(path, read_memory(path) | entries)


def read_memory(path: Path) -> Memory:
    """Return a memory, empty when there is none or it is damaged."""
    try:
        return dict(read_object(path))
    except InputError:
        return {}
