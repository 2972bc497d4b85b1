"""SHA-256 of files (MD5 where a source states no other), computed once and then remembered.

Hashing a 92 GB checkpoint takes minutes. A result is remembered with the file's size and the times
of its last change: of content (mtime) and of anything (ctime, which no program can set, so that a
copied or unpacked folder is hashed anew). Two memories are read: a record beside the file, which
`weights fetch` and `weights verify` leave and which also serves a container that mounts the folder
read-only, and one in the user's cache.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from submission.files.ordinary import open_ordinary
from submission.files.user_cache import cache_folder, keep, read_memory

READERS = 4  # files at a time; hashlib lets go of the interpreter lock
BLOCK = 1 << 20  # bytes read at a time
# Beside the files of a fetched checkpoint, by name: [bytes, mtime_ns, ctime_ns, hash].
RECORD = ".sha256.json"
CHECKPOINT_SUFFIXES = (".jinja", ".json", ".model", ".pt", ".safetensors", ".txt")


def checkpoint_files(path: Path) -> list[Path]:
    """The files that decide what a checkpoint does; a single file is its own list."""
    if path.is_file():
        return [path]
    return sorted(
        file
        for file in path.iterdir()
        if file.suffix in CHECKPOINT_SUFFIXES and not file.name.startswith(".")
    )


def hash_files(
    files: Iterable[Path], on_hash: Callable[[Path], None] | None = None
) -> dict[str, str]:
    """Return the SHA-256 of each file by file name; `on_hash` hears of files that must be read."""
    wanted = list(files)
    if on_hash:
        for file in wanted:
            if recall(file) is None:
                on_hash(file)
    return {file.name: digest for file, digest in digests(wanted).items()}


def digests(
    files: Iterable[Path],
    *,
    algorithm: str = "sha256",
    again: bool = False,
    beside: bool = False,
    on_bytes: Callable[[int], None] | None = None,
) -> dict[Path, str]:
    """Return the hash of each file; `again` reads all, also those that are remembered.

    `beside` keeps what was read beside the files, too. `on_bytes` hears from several threads how
    many bytes were read.
    """
    wanted = list(files)
    found = {} if again else {f: known for f in wanted if (known := recall(f, algorithm))}
    unknown = [file for file in wanted if file not in found]
    stop = threading.Event()
    with ThreadPoolExecutor(READERS) as pool:
        try:
            work = [pool.submit(_entry, file, algorithm, on_bytes, stop) for file in unknown]
            results = [future.result() for future in work]
        finally:
            stop.set()  # after an error or Ctrl-C the other readers need not finish
    fresh = dict(zip(unknown, results, strict=True))
    _remember(fresh, algorithm, beside)
    return {file: found.get(file) or fresh[file][-1] for file in wanted}


def recall(file: Path, algorithm: str = "sha256") -> str | None:
    """Return the remembered hash of a file in its present state, None when there is none."""
    now = state(file)
    for memory, key in (
        (read_memory(file.parent / RECORD), _key(file.name, algorithm)),
        (read_memory(_cache_file()), _key(str(file.resolve()), algorithm)),
    ):
        entry = memory.get(key)
        if isinstance(entry, list) and entry[:3] == now and len(entry) == 4:
            return str(entry[3])
    return None


def leave_record(file: Path, digest: str) -> None:
    """Keep the hash of a file that was just written, beside it."""
    keep(file.parent / RECORD, {file.name: [*state(file), digest]})


def update(digest: "hashlib._Hash", file: Path, on_bytes: Callable[[int], None] | None) -> int:
    """Add a file's content to `digest` in blocks, and return its number of bytes."""
    total = 0
    buffer = memoryview(bytearray(BLOCK))
    with open_ordinary(file) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
            total += count
            if on_bytes:
                on_bytes(count)
    return total


def _key(name: str, algorithm: str) -> str:
    return name if algorithm == "sha256" else f"{name} {algorithm}"


def _remember(entries: Mapping[Path, list[Any]], algorithm: str, beside: bool) -> None:
    if entries:
        found = {_key(str(file.resolve()), algorithm): entry for file, entry in entries.items()}
        keep(_cache_file(), found)
    if beside:
        for folder in {file.parent for file in entries}:
            inside = {
                _key(file.name, algorithm): entry
                for file, entry in entries.items()
                if file.parent == folder
            }
            keep(folder / RECORD, inside)


def _entry(
    file: Path, algorithm: str, on_bytes: Callable[[int], None] | None, stop: threading.Event
) -> list[Any]:
    """The state is that of before reading: a file that changes meanwhile is hashed again."""

    def count(read: int) -> None:
        if stop.is_set():
            raise InterruptedError(f"{file}: hashing was stopped")
        if on_bytes:
            on_bytes(read)

    before = state(file)
    digest = hashlib.new(algorithm, usedforsecurity=algorithm == "sha256")
    update(digest, file, count)
    return [*before, digest.hexdigest()]


def state(file: Path) -> list[int]:
    """Return a file's size and the times of its last change, of content and of anything."""
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _cache_file() -> Path:
    return cache_folder() / "sha256.json"
