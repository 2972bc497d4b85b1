"""Whether the PNGs of a vote lie there as they were written: a bad disk keeps names and sizes."""

import os
import zlib
from pathlib import Path

from submission.dataset.records import Video
from submission.files.ordinary import read_ordinary

Checksums = dict[str, dict[str, int | None]]  # by expression and file


def checksums(folder: Path, video: Video) -> Checksums:
    """Return the CRC-32 of every file in the folders of a video's expressions.

    None for what is no file that can be read. 62,000 PNGs in memory take two seconds.
    """
    return {
        expression.id: {name: _checksum(folder / expression.id / name) for name in names}
        for expression in video.expressions
        for names in [_names(folder / expression.id)]
    }


def _names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def _checksum(path: Path) -> int | None:
    try:
        return zlib.crc32(read_ordinary(path))
    except OSError:
        return None
