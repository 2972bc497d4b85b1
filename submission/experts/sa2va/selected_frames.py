"""Frames that somebody selected for each expression, in the published form of SaSaSa2VA's file.

{video: {"selected_frames": {expression id: [100 frames, counted from 0]}}}
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from submission.dataset.records import Expression, Video
from submission.errors import Fault, InputError
from submission.files.strict_json import read_object
from submission.models.sa2va.settings import selection_faults

MODE = "q_frame"  # the mode that reads such a file
KEY = "selected_frames"


class SelectedFrames:
    """A file of selected frames; opened when it is first asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, video: Video, expression: Expression) -> tuple[int, ...]:
        """Return the frames of an expression; raise InputError when they are missing or wrong."""
        if wrong := list(self._faults_of(video, expression)):
            raise InputError(f"{self.path}: {wrong[0]}")
        return tuple(self._videos[video.name][KEY][expression.id])

    def faults(self, videos: Sequence[Video]) -> list[Fault]:
        """Return what is wrong with the file, and every expression that lacks right frames."""
        try:
            return [fault for video in videos for fault in self._faults(video)]
        except InputError as error:
            return [Fault(KEY, str(error))]

    @cached_property
    def _videos(self) -> Mapping[str, Any]:
        return read_object(self.path)

    def _table(self, video: Video) -> Mapping[str, Any] | None:
        entry = self._videos.get(video.name)
        table = entry.get(KEY) if isinstance(entry, dict) else None
        return table if isinstance(table, dict) else None

    def _faults(self, video: Video) -> Iterator[Fault]:
        if self._table(video) is None:
            yield Fault(f"video {video.name}", f'it has no table "{KEY}" in {self.path}')
            return
        for expression in video.expressions:
            yield from self._faults_of(video, expression)

    def _faults_of(self, video: Video, expression: Expression) -> Iterator[Fault]:
        where = f"video {video.name}, expression {expression.id}"
        frames = (self._table(video) or {}).get(expression.id)
        if frames is None:
            yield Fault(where, f"no frames are selected for it in {self.path}")
        elif not isinstance(frames, list) or not all(type(time) is int for time in frames):
            yield Fault(where, "what is selected is no list of whole numbers")
        else:
            yield from _wrong(where, tuple(frames), len(video.frame_names))


def _wrong(where: str, frames: tuple[int, ...], length: int) -> Iterator[Fault]:
    yield from (Fault(where, fault.what) for fault in selection_faults(MODE, frames))
    if frames and max(frames) >= length:
        yield Fault(where, f"frame {max(frames)}; the video has {length}, counted from 0")
