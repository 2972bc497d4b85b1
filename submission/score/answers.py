"""The results that can be scored: PNGs in a folder or zip, and the prediction store of an expert.

Each gives masks one by one, or says why there is none. A source is a path and a name, so that
any process can open it for itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from submission.dataset.images import BrokenImage, most_bytes
from submission.dataset.records import Expression, Video
from submission.errors import InputError, StoreMismatch
from submission.masks.label_runs import Windows
from submission.masks.store import PredictionStore
from submission.masks.track import Track
from submission.output.layout import file_name
from submission.output.mask_files import MaskArchive, MaskFiles, UnreadableFile, open_submission
from submission.score.mask_window import Shape
from submission.score.scoring import MISSING, MISSING_SENTENCE, Answer, Gap


@dataclass(frozen=True)
class PngSource:
    """PNGs in the submission layout, in a folder or a zip."""

    name: str
    path: Path

    def answer(self, video: Video, expression: Expression) -> Answer:
        """Return the masks of a sentence; what is missing shows frame by frame."""
        files, members = _open(self.path, self.path.stat().st_mtime_ns)
        return _PngAnswer(files, members, video, expression)


@dataclass(frozen=True)
class StoreSource:
    """The answers of one expert, as predict keeps them."""

    name: str
    folder: Path  # of the store, that is of all experts

    def answer(self, video: Video, expression: Expression) -> Answer | Gap:
        """Return the masks of a sentence, or say why there are none.

        Raises StoreMismatch when the answer belongs to another split.
        """
        store = PredictionStore(self.folder)
        if not store.path(self.name, video.name, expression.id).exists():
            return MISSING_SENTENCE
        try:
            return TrackAnswer(store.read(self.name, video, expression).track)
        except StoreMismatch:
            raise
        except InputError as error:
            return Gap(str(error))


@dataclass(frozen=True)
class InMemory:
    """A result of one video that was never written."""

    name: str
    tracks: Mapping[str, Track]  # by expression id

    def answer(self, video: Video, expression: Expression) -> "TrackAnswer":
        """Return the masks of a sentence."""
        return TrackAnswer(self.tracks[expression.id])


@dataclass(frozen=True)
class _PngAnswer:
    files: MaskFiles
    members: Mapping[str, str] | None  # plain name -> name as stored; None: they are the same
    video: Video
    expression: Expression

    def shape(self, index: int) -> Shape | Gap:
        frame = self.video.frame_names[index]
        name = file_name(self.video.name, self.expression.id, frame)
        if self.members is not None and name not in self.members:
            return MISSING
        try:
            stored = self.members[name] if self.members else name
            content = self.files.read(stored, most_bytes(self.video.size))
            return Shape.of_png(content, self.video.size)
        except UnreadableFile as error:
            is_there = isinstance(self.files, MaskArchive) or (self.files.path / name).exists()
            return Gap(str(error)) if is_there else MISSING
        except BrokenImage as error:
            return Gap(str(error))


@dataclass(frozen=True)
class TrackAnswer:
    """The masks of a track, for scoring."""

    track: Track

    def shape(self, index: int) -> Shape:
        """Return the mask of a frame, by its place in the video."""
        return Shape.of_window(self._windows[index], self.track.size)

    @cached_property
    def _windows(self) -> Windows:
        return self.track.windows(margin=1)


@lru_cache(maxsize=2)
def _open(path: Path, changed_ns: int) -> tuple[MaskFiles, Mapping[str, str] | None]:
    # Kept open between videos: the directory of a zip with 60,000 members takes half a second.
    files = open_submission(path)
    if not isinstance(files, MaskArchive):
        return files, None
    return files, {name.removeprefix("./"): name for name in files.names()}
