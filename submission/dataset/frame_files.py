"""Where the bytes of a frame are: a file in JPEGImages/, or a slice of JPEGImages.tar.

The tar is indexed once and never unpacked. A place is plain data and opens the file anew for
each read, so any number of threads may read at once.
"""

import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from submission.errors import InputError
from submission.files.ordinary import too_large

FRAME_FOLDER = "JPEGImages"
FRAME_TAR = "JPEGImages.tar"
EXTENSIONS = (".jpg", ".jpeg", ".JPG", ".JPEG", ".png", ".PNG")  # the first that exists is read


@dataclass(frozen=True)
class Place:
    """`size` bytes of the file `path` from `offset` on; `str` names them for an error."""

    path: Path
    offset: int
    size: int
    member: str = ""

    def read(self, start: int = 0, count: int | None = None, most: int | None = None) -> bytes:
        """Return `count` bytes from `start` on (to the end without a count).

        Raises OSError, before reading, when the whole has more than `most` bytes.
        """
        if most is not None and self.size > most:
            raise OSError(too_large(self.size, most))
        left = max(self.size - start, 0)
        with self.path.open("rb") as file:
            file.seek(self.offset + start)
            return file.read(left if count is None else min(count, left))

    def __str__(self) -> str:
        return f"{self.path}: {self.member}" if self.member else str(self.path)


class FrameFolder:
    """Frames unpacked as `JPEGImages/<video>/<frame>.jpg`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def places(self, video: str) -> dict[str, Place] | None:
        """Return file name -> place for a video, or None when its folder is not there."""
        folder = self.path / video
        if not folder.is_dir():
            return None
        with os.scandir(folder) as entries:
            return {
                entry.name: Place(folder / entry.name, 0, entry.stat().st_size)
                for entry in entries
                if entry.is_file()
            }

    def where(self, video: str) -> str:
        """Name the place where a video's frames should be."""
        return str(self.path / video)

    def videos(self) -> list[str]:
        """Return the folders that are there."""
        return sorted(entry.name for entry in os.scandir(self.path) if entry.is_dir())

    def elsewhere(self, video: str) -> str | None:
        """Name a folder of the video that lies one level too deep or too high."""
        places = (self.path / FRAME_FOLDER / video, self.path.parent / video)
        return next((str(path) for path in places if path.is_dir()), None)

    def subfolders(self, video: str) -> list[str]:
        """Return the folders inside a video's folder, where frames are not looked for."""
        folder = self.path / video
        return sorted(path.name for path in folder.iterdir() if path.is_dir())


class FrameTar:
    """Frames in one uncompressed tar, below `JPEGImages/` at any depth, or without that folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._index = _index_tar(path, path.stat().st_mtime_ns)

    def places(self, video: str) -> dict[str, Place] | None:
        """Return file name -> place for a video, or None when the tar has none of it."""
        members = self._index.get(video)
        return None if members is None else dict(members)

    def where(self, video: str) -> str:
        """Name the place where a video's frames should be."""
        return f"{self.path}: {video}"

    def videos(self) -> list[str]:
        """Return the folders that are there."""
        return sorted(self._index)

    def elsewhere(self, video: str) -> str | None:
        """Return None: the tar is looked through at any depth."""
        return None

    def subfolders(self, video: str) -> list[str]:
        """Return nothing: a file that is deeper in a tar counts to no video."""
        return []


FrameFiles = FrameFolder | FrameTar


def open_frame_files(split_folder: Path) -> FrameFiles:
    """Find the frames of a split, unpacked or as a tar; raise InputError when neither is there.

    Where both are there the folder is read: somebody unpacked the tar beside it.
    """
    folder, tar = split_folder / FRAME_FOLDER, split_folder / FRAME_TAR
    if folder.is_dir():
        return FrameFolder(folder)
    if tar.is_file():
        return FrameTar(tar)
    raise InputError(
        f"{split_folder}: no frames: neither {FRAME_FOLDER}/ nor {FRAME_TAR} is there; "
        f"download {FRAME_TAR} of this split next to its meta file"
    )


def find_frame(places: Mapping[str, Place], frame: str) -> Place | None:
    """Return the place of a frame name without extension, or None."""
    return next((places[frame + end] for end in EXTENSIONS if frame + end in places), None)


@lru_cache(maxsize=4)
def _index_tar(path: Path, changed_ns: int) -> dict[str, dict[str, Place]]:
    """Return video -> file name -> place; cached, as long as the tar is the same file."""
    index: dict[str, dict[str, Place]] = {}
    try:
        with tarfile.open(path, "r:") as tar:  # "r:" refuses compression, which has no offsets
            for member in tar:
                _add_member(index, path, member)
    except (tarfile.TarError, EOFError) as error:
        raise InputError(
            f"{path}: not a complete, uncompressed tar ({error}); download it again, "
            f"or unpack it into {FRAME_FOLDER}/"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return index


def _add_member(index: dict[str, dict[str, Place]], path: Path, member: tarfile.TarInfo) -> None:
    if not member.isreg() or member.issparse():  # of a sparse file the tar holds no plain slice
        return
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if FRAME_FOLDER in parts:
        del parts[: len(parts) - parts[::-1].index(FRAME_FOLDER)]
    if len(parts) == 2:
        video, name = parts
        place = Place(path, member.offset_data, member.size, f"{video}/{name}")
        index.setdefault(video, {})[name] = place
