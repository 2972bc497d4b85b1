"""What is remembered in the user's cache: small JSON files whose loss costs time and nothing else.

Their folder is XDG_CACHE_HOME, else ~/.cache, and in it the kit's own.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold a memory around a block while something is made for it; another process waits.

    Where it cannot be written, and on a share that knows no locks, nothing is held.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.with_name(f".{path.name}.lock").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_memory(path: Path) -> Memory:
    """Return a memory, empty when there is none or it is damaged."""
    try:
        return dict(read_object(path))
    except InputError:
        return {}
