"""The folders between the kit and a container that answers: the job goes in, masks come out.

<run>/containers/<expert>/<n>/     n = 1 but for calls at the same time, such as shards
    log.txt                        what the container printed
    job/                           at /job: meta_expressions.json, JPEGImages/
    output/Annotations/<video>/    at /output: there when the container has finished the video
    taken/<video>/                 a video that is being read, or was found wrong: out of reach
"""

import fcntl
import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

from submission.dataset.frame_files import FRAME_FOLDER, FrameFolder, find_frame, open_frame_files
from submission.dataset.records import Split, Video
from submission.errors import InputError
from submission.files.ordinary import SMALL
from submission.files.strict_json import kind_of, read_object
from submission.files.whole import write_bytes, write_json
from submission.masks.store import CONFIDENCE_DIGITS
from submission.output.layout import missing_faults
from submission.output.mask_files import MaskFolder

META = "meta_expressions.json"
SCORES = "scores.json"
UNFINISHED = ".partial"  # what a container is still writing ends like this
_MOST_SLOTS = 1000


class JobFolder:
    """The folders of one container at a time, in `path`."""

    def __init__(self, path: Path, split: Split) -> None:
        self.split = split
        self.log = path / "log.txt"
        self.job = path / "job"
        self.output = path / "output"
        self._answers = self.output / "Annotations"
        self._taken = path / "taken"
        self._asked = path / "asked.json"  # what the answers that lie here are answers to

    # --- in --------------------------------------------------------------------------------------
    def begin(self, identity: Mapping[str, Any], videos: Sequence[Video]) -> None:
        """Make room for the answers of `videos`, and keep those that a killed call has left.

        They are kept where the same container finished them for the same sentences.
        """
        asked = {"identity": identity, "videos": meta_of(videos)["videos"]}
        wanted = json.loads(json.dumps(asked))
        before = read_object(self._asked) if self._asked.exists() else {}
        same = before.get("identity") == wanted["identity"]
        kept = {
            name
            for name, entry in wanted["videos"].items()
            if same and before.get("videos", {}).get(name) == entry
        } & self.finished()
        kept = {video.name for video in videos if video.name in kept and self.is_whole(video)}
        self.output.mkdir(parents=True, exist_ok=True)
        self._remove_answers(apart_from=kept)
        shutil.rmtree(self._taken, ignore_errors=True)
        write_json(self._asked, wanted, indent=None)

    def write_job(self, videos: Sequence[Video]) -> dict[str, Path]:
        """Write the job of some videos; return what it is mounted as: place inside -> folder.

        Frames are mounted from where they lie; those in a tar are unpacked for as long as it lasts.
        """
        self._remove_answers(apart_from=self.finished())
        frames = self.job / FRAME_FOLDER
        frames.mkdir(parents=True, exist_ok=True)  # also what JPEGImages/ is mounted on
        write_json(self.job / META, meta_of(videos), indent=None)
        files = open_frame_files(self.split.folder)
        if isinstance(files, FrameFolder):
            return {"/job": self.job, f"/job/{FRAME_FOLDER}": files.path}
        for video in videos:
            places = files.places(video.name) or {}
            (frames / video.name).mkdir(exist_ok=True)
            for name in video.frame_names:
                if (place := find_frame(places, name)) is not None:
                    path = frames / video.name / Path(place.member).name
                    write_bytes(path, place.read(), durable=False)
        return {"/job": self.job}

    def remove_job(self) -> None:
        """Remove what went in."""
        shutil.rmtree(self.job, ignore_errors=True)

    # --- out -------------------------------------------------------------------------------------
    def finished(self) -> set[str]:
        """Return the names of the videos that the container says it has finished."""
        if self._answers.is_symlink() or not self._answers.is_dir():
            return set()
        return {
            path.name
            for path in self._answers.iterdir()
            if path.is_dir() and not path.is_symlink() and not path.name.endswith(UNFINISHED)
        }

    def is_whole(self, video: Video) -> bool:
        """Whether all masks of a finished video are there: else it may be written in place."""
        names = {f"{video.name}/{name}" for name in MaskFolder(self._answers / video.name).names()}
        return not missing_faults(names, part_of(self.split, video))

    def take(self, video: str) -> Path:
        """Move a finished video out of the container's reach; return the folder that holds it."""
        self._taken.mkdir(exist_ok=True)
        place = self._taken / video
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        (self._answers / video).rename(place / video)
        return place

    def _remove_answers(self, apart_from: Collection[str]) -> None:
        if self._answers.is_symlink():
            self._answers.unlink()
        for path in self._answers.iterdir() if self._answers.is_dir() else ():
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.name not in apart_from:
                shutil.rmtree(path)


@contextmanager
def job_folder(parent: Path, split: Split) -> Iterator[JobFolder]:
    """Hold a folder below `parent`, the first that no other call is using."""
    for number in range(1, _MOST_SLOTS):
        path = parent / str(number)
        path.mkdir(parents=True, exist_ok=True)
        with (path / ".lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            except OSError:  # a share that knows no locks: the run folder's own has warned of it
                pass
            yield JobFolder(path, split)
            return
    raise InputError(f"{parent}: {_MOST_SLOTS} calls work in this folder")


def part_of(split: Split, video: Video) -> Split:
    """Return a split of one video."""
    return Split(split.root, split.name, split.meta_file, (video,))


def meta_of(videos: Sequence[Video]) -> dict[str, Any]:
    """Return a meta file of MeViS for some videos, without what is true of their sentences."""
    return {
        "videos": {
            video.name: {
                "frames": list(video.frame_names),
                "expressions": {one.id: {"exp": one.sentence} for one in video.expressions},
            }
            for video in videos
        }
    }


def read_scores(path: Path, video: Video) -> dict[str, list[float | None]]:
    """Return confidences by sentence and frame, from a file with one or one a frame; {} for none.

    Raises InputError for what is neither, and for a sentence that was not asked.
    """
    if not path.exists():
        return {}
    ids, frames = {one.id for one in video.expressions}, len(video.frame_names)
    found: dict[str, list[float | None]] = {}
    for sentence, value in read_object(path, most=SMALL * 16).items():
        values = value if isinstance(value, list) else [value] * frames
        if sentence not in ids:
            raise InputError(f"{path}: {sentence!a} is no sentence that was asked")
        if len(values) != frames or not all(map(_is_score, values)) or value is None:
            what = f"a list of {len(values)}" if isinstance(value, list) else kind_of(value)
            raise InputError(
                f"{path}: sentence {sentence} has {what}; it must be a finite number, or a list of "
                f"{frames}, one for each frame: a number, or null for none"
            )
        found[sentence] = [v if v is None else round(float(v), CONFIDENCE_DIGITS) for v in values]
    return found


def _is_score(value: Any) -> bool:
    return value is None or (
        isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    )
