"""An expert whose masks are there already: what any other model wrote as PNGs joins the vote."""

import hashlib
from pathlib import Path
from typing import Any

from submission.dataset.records import Video
from submission.errors import InputError
from submission.experts.expert import Expert, Predictions
from submission.masks.store import Prediction
from submission.output.mask_files import open_submission
from submission.video.session import VideoSession
from submission.video.transforms import FrameRequest
from submission.weights.hashes import hash_files


class MaskFiles(Expert):
    """An expert whose answers lie in a folder or zip of PNGs in the submission layout."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        if not path.exists():
            raise InputError(f"expert {name}: {path}: no such folder or zip of masks")
        self._files = open_submission(path)
        self._names = self._files.names()
        self._answered = {name.rpartition("/")[0] for name in self._names}  # folders with PNGs

    def identity(self) -> dict[str, Any]:
        """A digest of the zip, or of every file's name, size and time of change in the folder."""
        return {"masks": _masks_digest(self.path, sorted(set(self._names)))}

    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        """None: the frames do not matter."""
        return ()

    def predict(self, video: Video, session: VideoSession) -> Predictions:
        """Read the video's tracks; a sentence of which no frame is there is left out."""
        for expression in video.expressions:
            if f"{video.name}/{expression.id}" in self._answered:
                track = self._files.read_track(video, expression.id)
                yield expression, Prediction(expression.sentence, track)


def _masks_digest(path: Path, names: list[str]) -> str:
    if path.is_file():
        return hash_files([path])[path.name]
    digest = hashlib.sha256()
    for name in names:
        stat = (path / name).stat()
        digest.update(f"{name}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
