"""An expert whose masks are there already: what any other model wrote as PNGs joins the vote."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from submission.cost.procedures import Stages
from submission.cost.video import AtOnce
from submission.dataset.records import Video
from submission.errors import InputError
from submission.experts.expert import Expert, Predictions, Tools
from submission.masks.store import Prediction
from submission.output.mask_files import MaskArchive, MaskFolder, open_submission
from submission.video.session import VideoSession
from submission.video.transforms import FrameRequest
from submission.weights.hashes import hash_files


@dataclass(frozen=True)
class Settings:
    """The keys of its [[expert]], beside name, kind and weight."""

    masks: Annotated[str, Field(min_length=1)]  # a folder or zip of PNGs in the submission layout


def build(name: str, settings: Settings, tools: Tools) -> Expert:
    """Build one; the path is relative to the recipe."""
    return MaskFiles(name, tools.folder / Path(settings.masks).expanduser())


class MaskFiles(Expert):
    """An expert whose answers lie in a folder or zip of PNGs in the submission layout."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path

    def identity(self) -> dict[str, Any]:
        """A digest of the zip, or of every file's name, size and time of change in the folder."""
        if not self.path.exists():
            raise InputError(f"expert {self.name}: {self.path}: no such folder or zip of masks")
        return {"masks": _masks_digest(self.path, sorted(set(self._names)))}

    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        """None: the frames do not matter."""
        return ()

    def predict(self, video: Video, session: VideoSession) -> Predictions:
        """Read the video's tracks; an expression of which no frame is there is left out."""
        return self._read(video)

    def _read(self, video: Video) -> Predictions:
        answered = {name.rpartition("/")[0] for name in self._names}  # folders with PNGs
        for expression in video.expressions:
            if f"{video.name}/{expression.id}" in answered:
                track = self._files.read_track(video, expression.id)
                yield expression, Prediction(expression.sentence, track)

    def summary(self, videos: Sequence[Video]) -> str:
        return "given masks"

    def work(self, video: Video, at_once: AtOnce) -> Stages:
        """None to speak of."""
        return {}

    @cached_property
    def _files(self) -> MaskFolder | MaskArchive:
        return open_submission(self.path)

    @cached_property
    def _names(self) -> list[str]:
        return self._files.names()


def _masks_digest(path: Path, names: list[str]) -> str:
    if path.is_file():
        return hash_files([path])[path.name]
    digest = hashlib.sha256()
    for name in names:
        stat = (path / name).stat()
        digest.update(f"{name}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
