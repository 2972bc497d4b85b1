"""A digest of the content of a folder of many small files, computed once and then remembered.

Reading 177,000 masks takes longer than asking for their state. What is remembered of a folder is
one entry: a digest of the name, size, times of change (as in hashes.py, of content and of anything)
and inode of every file, and that of their content. A copied folder is read anew, and found to be
the same.
"""

import hashlib
import os
import stat
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from submission.files.ordinary import open_ordinary
from submission.files.user_cache import cache_folder, keep, read_memory

READERS = min(16, os.cpu_count() or 1)  # small files: opening them is what takes time
MEMORY = "folders.json"  # in the cache: by path, [digest of the state, digest of the content]


def digest_folder(folder: Path, names: Iterable[str]) -> str:
    """Return a SHA-256 over the names and bytes of files, given relative to their folder.

    What is no ordinary file counts as such and is not read. Raises OSError for one that is not
    there or cannot be read.
    """
    wanted = sorted(set(names))
    with ThreadPoolExecutor(READERS) as pool:
        states = list(pool.map(lambda name: (folder / name).stat(), wanted))
        now = hashlib.sha256()
        for name, seen in zip(wanted, states, strict=True):
            facts = f"{seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns} {seen.st_ino}"
            now.update(f"{name}\0{facts}\n".encode(errors="surrogateescape"))
        state, memory, key = now.hexdigest(), cache_folder() / MEMORY, str(folder.resolve())
        entry = read_memory(memory).get(key)
        if isinstance(entry, list) and len(entry) == 2 and entry[0] == state:
            return str(entry[1])
        ordinary = [stat.S_ISREG(seen.st_mode) for seen in states]
        digests = pool.map(_digest_file, (folder / name for name in wanted), ordinary)
        content = hashlib.sha256()
        for name, digest in zip(wanted, digests, strict=True):
            content.update(f"{name}\0{digest}\n".encode(errors="surrogateescape"))
    keep(memory, {key: [state, content.hexdigest()]})
    return content.hexdigest()


def _digest_file(path: Path, is_ordinary: bool) -> str:
    if not is_ordinary:
        return "no ordinary file"
    with open_ordinary(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
