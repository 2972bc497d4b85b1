"""Remove what lies at a path, whatever it is, and from a folder what does not belong there."""

import shutil
from collections.abc import Container
from pathlib import Path


def remove(path: Path) -> None:
    """Remove a file, a link or a folder; nothing where nothing is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_others(folder: Path, wanted: Container[str]) -> None:
    """Remove all that a folder holds, if it is there, but what has one of these names."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in wanted:
            remove(path)
