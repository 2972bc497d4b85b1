"""SHA-256 of checkpoint files, computed once for each state of a file.

Hashing a 92 GB checkpoint takes minutes, so a result is remembered with the file's size and time of
change in the user's cache folder; a file that was touched is hashed again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from submission.whole_files import write_json

READERS = 4  # files at a time; hashlib lets go of the interpreter lock
CHECKPOINT_SUFFIXES = (".json", ".model", ".pt", ".safetensors", ".txt")


def cache_folder() -> Path:
    """The kit's folder in the user's cache (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mevis-submission"


def checkpoint_files(path: Path) -> list[Path]:
    """The files that decide what a checkpoint does; a single file is its own list."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in CHECKPOINT_SUFFIXES)


def hash_files(
    files: Iterable[Path], on_hash: Callable[[Path], None] | None = None
) -> dict[str, str]:
    """Return the SHA-256 of each file by file name; `on_hash` hears of files that must be read."""
    memory_file = cache_folder() / "sha256.json"
    memory = _read_memory(memory_file)
    states = {file: _state(file) for file in files}
    unknown = [file for file, state in states.items() if state not in memory]
    for file in unknown:
        if on_hash:
            on_hash(file)
    with ThreadPoolExecutor(READERS) as pool:
        found = dict(zip(unknown, pool.map(_sha256, unknown), strict=True))
    if found:
        memory = _read_memory(memory_file)  # another process may have written meanwhile
        memory |= {states[file]: digest for file, digest in found.items()}
        try:
            write_json(memory_file, memory)
        except OSError:
            # A read-only home (a container) costs time at the next start, nothing else.
            memory_file = Path(os.devnull)
    return {file.name: found.get(file) or memory[states[file]] for file in states}


def _state(file: Path) -> str:
    stat = file.stat()
    return f"{file.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_memory(path: Path) -> dict[str, str]:
    try:
        memory = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # no memory yet, or a damaged one: everything is hashed again
    return memory if isinstance(memory, dict) else {}
