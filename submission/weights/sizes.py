"""Numbers of bytes: of files, of what is free on a disk, and as people say them."""

import shutil
from pathlib import Path


def in_words(count: float) -> str:
    """Return a number of bytes as people say it, in powers of ten."""
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.2f} GB" if count < 10 else f"{count:.1f} GB"


def size_of(path: Path) -> int | None:
    """Return the bytes of a file, None where there is none."""
    return path.stat().st_size if path.is_file() else None


def free_at(folder: Path) -> int:
    """Return the free bytes where a folder lies, or would lie."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free
