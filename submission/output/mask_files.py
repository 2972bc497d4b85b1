"""Read a submission, a folder or a zip alike: its file names, their bytes, and whole tracks.

This is how the check and the score see a result, and how masks of any other model join a vote.
"""

import os
import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from submission.dataset.images import BrokenImage, most_bytes
from submission.dataset.records import Video
from submission.errors import InputError
from submission.files.ordinary import SMALL, read_head, read_ordinary, too_large
from submission.masks.track import Track
from submission.output.layout import file_name
from submission.output.png_files import read_mask

Folder = tuple[int, int]  # device and number of a folder: what it is, whatever it is called
READERS = min(16, os.cpu_count() or 1)  # threads; decoding runs outside the interpreter lock
_ENCRYPTED = 0x1  # flag bit of a zip entry
# Of other methods zipfile unpacks all that is in a member, 64 MB of 50 bytes, whatever it states.
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
)


class UnreadableFile(ValueError):
    """A file of a submission whose bytes cannot be had; the message is a reason."""


class MaskFiles(ABC):
    """The files of a submission; reading is safe from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def names(self) -> list[str]:
        """Return every file name with "/", as stored, repeated names included."""

    @abstractmethod
    def read(self, name: str, most: int = SMALL) -> bytes:
        """Return the bytes of a file; raise UnreadableFile, also for more than `most` bytes."""

    @abstractmethod
    def head(self, name: str, count: int) -> bytes:
        """Return the first bytes of a file; raise UnreadableFile. No checksum is compared."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file; reading ends here."""

    def read_track(
        self, video: Video, expression: str, members: Mapping[str, str] | None = None
    ) -> Track:
        """Return the masks of one sentence, read as the judge reads them.

        `members` says under which name each is stored, where that is another than its own.
        Raises InputError, naming the file, for one that is missing, damaged, or of another
        size than the video.
        """
        with ThreadPoolExecutor(READERS) as pool:
            frames = video.frame_names
            return Track.encode(
                pool.map(lambda frame: self._read_frame(video, expression, frame, members), frames)
            )

    def _read_frame(
        self, video: Video, expression: str, frame: str, members: Mapping[str, str] | None
    ) -> NDArray[np.bool_]:
        name = file_name(video.name, expression, frame)
        stored = name if members is None else members.get(name, name)
        try:
            return read_mask(self.read(stored, most_bytes(video.size)), video.size)
        except (UnreadableFile, BrokenImage) as error:
            raise InputError(f"{self.path}: {name}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MaskFolder(MaskFiles):
    """A submission as a folder; links to folders are followed where `links` says so."""

    def __init__(self, path: Path, *, links: bool = False) -> None:
        super().__init__(path)
        self._links = links

    def names(self) -> list[str]:
        return sorted(self._names_in(self.path, "", frozenset())) if self.path.is_dir() else []

    def _names_in(self, folder: Path, inside: str, around: frozenset[Folder]) -> Iterator[str]:
        """Names of files in a folder; one that is `around` itself is not entered again."""
        stat = folder.stat()
        if (own := (stat.st_dev, stat.st_ino)) in around:
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                name = f"{inside}{entry.name}"
                if not entry.is_dir():
                    yield name
                elif self._links or not entry.is_symlink():
                    yield from self._names_in(Path(entry.path), f"{name}/", around | {own})

    def read(self, name: str, most: int = SMALL) -> bytes:
        try:
            return read_ordinary(self.path / name, most)
        except OSError as error:
            raise UnreadableFile(f"cannot be read: {error.strerror or error}") from error

    def head(self, name: str, count: int) -> bytes:
        try:
            return read_head(self.path / name, count)
        except OSError as error:
            raise UnreadableFile(f"cannot be read: {error.strerror or error}") from error

    def close(self) -> None:
        """Do nothing: no file stays open between reads."""


class MaskArchive(MaskFiles):
    """A submission as a zip, read in place."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except _ZIP_ERRORS as error:
            raise InputError(f"{path}: not a zip, or one that was cut off ({error})") from error

    def names(self) -> list[str]:
        return [entry.filename for entry in self._zip.infolist() if not entry.is_dir()]

    def encrypted(self) -> list[str]:
        """Return the names that need a password."""
        return [entry.filename for entry in self._zip.infolist() if entry.flag_bits & _ENCRYPTED]

    def read(self, name: str, most: int = SMALL) -> bytes:
        entry = self._entry(name)
        if entry.file_size > most:
            raise UnreadableFile(too_large(entry.file_size, most))
        return self._begin(entry, most + 1)  # with the last byte the checksum is compared

    def head(self, name: str, count: int) -> bytes:
        return self._begin(self._entry(name), count)

    def _entry(self, name: str) -> zipfile.ZipInfo:
        try:
            return self._zip.getinfo(name)
        except KeyError as error:
            raise UnreadableFile("it is missing") from error

    def _begin(self, entry: zipfile.ZipInfo, count: int) -> bytes:
        if entry.compress_type not in _BOUNDED:
            raise UnreadableFile("packed in an unusual way; zip it with: zip -r")
        try:
            with self._zip.open(entry) as file:  # gives no more than the size that is stated
                return file.read(count)
        except _ZIP_ERRORS as error:
            raise UnreadableFile(f"the archive is damaged here: {error}") from error

    def close(self) -> None:
        self._zip.close()


def open_submission(path: Path) -> MaskFolder | MaskArchive:
    """Open a folder or a zip; raise InputError when it is neither."""
    if path.is_dir():
        return MaskFolder(path, links=True)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; pass a submission zip or its folder")
    if not path.is_file():
        raise InputError(f"{path}: neither a folder nor an ordinary file")
    return MaskArchive(path)
