"""The frozen records of a MeViS split: split, videos, expressions, each in one fixed order.

Knows nothing of files being read or checked; `mevis.read_split` makes these records.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MASK_FILE = "mask_dict.json"


@dataclass(frozen=True)
class Expression:
    """One sentence about one video; its id is unique within the video only.

    The objects and annotations that it means are None where the split has no ground truth;
    an empty tuple is a no-target sentence, whose true masks are empty in every frame.
    """

    video: str
    id: str
    sentence: str
    object_ids: tuple[int, ...] | None = None
    annotation_ids: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Video:
    """A video: frame names without extension; size as (height, width) in pixels.

    `frame_bytes` is the size of all its frame files together, by which other frames of the same
    names are known; 0 where nobody asked the disk.

    The meta file lists frames in the order of time, and this is the one place that says so: key
    frames, tracking, masks, ground truth and zip all follow `frame_names`. Names are never sorted;
    as text 10 comes before 2.
    """

    name: str
    frame_names: tuple[str, ...]
    size: tuple[int, int]
    expressions: tuple[Expression, ...]
    frame_bytes: int = 0

    @property
    def num_masks(self) -> int:
        """How many masks the video asks for: frames x sentences."""
        return len(self.frame_names) * len(self.expressions)


@dataclass(frozen=True)
class DataNames:
    """What a recipe, a call or a run's record says of where its split lies; None for nothing."""

    root: Path | None = None
    split: str | None = None
    meta: str | None = None  # the meta file, where a split has several

    def or_else(self, other: "DataNames") -> "DataNames":
        """Return these names, and in place of those that are missing the other's."""
        return DataNames(
            self.root or other.root, self.split or other.split, self.meta or other.meta
        )


@dataclass(frozen=True)
class Split:
    """A checked split: videos as the meta file lists them, expressions by number."""

    root: Path
    name: str
    meta_file: Path
    videos: tuple[Video, ...]
    truth_fault: str | None = None  # why its ground truth cannot be used, where that was seen

    @property
    def folder(self) -> Path:
        """The folder of the split, `<root>/<name>`."""
        return self.root / self.name

    @property
    def mask_file(self) -> Path | None:
        """The ground truth, where the split has one that can be used."""
        path = self.folder / MASK_FILE
        return path if self.truth_fault is None and path.is_file() else None

    @property
    def version(self) -> str:
        """Which MeViS it is: "v2" where the meta file is named so or a sentence has no target."""
        named = "_v2" in self.meta_file.stem  # as all of v2's are published (mevis.META_FILES)
        return "v2" if named or self.num_without_target else "v1"

    def sentences(self) -> Iterator[tuple[Video, Expression]]:
        """Give every sentence with its video, in the order of the split."""
        return ((video, expression) for video in self.videos for expression in video.expressions)

    @property
    def num_without_target(self) -> int:
        """How many sentences are known to refer to nothing."""
        return sum(expression.annotation_ids == () for _, expression in self.sentences())

    @property
    def num_sentences(self) -> int:
        """How many sentences the split asks about."""
        return sum(len(video.expressions) for video in self.videos)

    @property
    def num_frames(self) -> int:
        """How many frames the videos have together, each counted once."""
        return sum(len(video.frame_names) for video in self.videos)

    @property
    def num_masks(self) -> int:
        """How many masks, and so PNG files, a full answer has: frames x sentences."""
        return sum(video.num_masks for video in self.videos)
