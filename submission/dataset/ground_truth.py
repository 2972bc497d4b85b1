"""The true masks of a split: mask_dict.json, checked against the split before it is used."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from submission.counted import counted
from submission.dataset.records import MASK_FILE, Expression, Split, Video
from submission.dataset.rle import decode, encode_ends, first_fault, read_item
from submission.errors import Fault, FaultyInput, InputError
from submission.files.json_members import Span, read_members

_NO_IDS = "the meta file has no anno_id for this sentence"

_Key = tuple[str, int]  # video, annotation id


class GroundTruth:
    """True masks by video and expression; all of them fit the split that they were read for.

    It knows where each annotation lies in the file and reads it when it is asked for, so that the
    truth of a large split takes no memory, and that of a video goes to another process in no time.
    """

    def __init__(self, path: Path, places: Mapping[_Key, Span]) -> None:
        self._path = path
        self._places = places

    def masks(self, video: Video, expression: Expression) -> NDArray[np.bool_]:
        """Return the union of all objects that the sentence means, bool (T, H, W).

        A no-target sentence has no object, so its masks are empty.
        """
        truth = np.zeros((len(video.frame_names), *video.size), dtype=np.bool_)
        for counts in self.objects(video, expression):
            for index, text in enumerate(counts):
                truth[index] |= decode(text, video.size)
        return truth

    def objects(self, video: Video, expression: Expression) -> list[tuple[bytes, ...]]:
        """Return the run lengths of every object that the sentence means, one for each frame.

        Raises InputError where the file has changed since it was checked.
        """
        return [self._read(video, annotation) for annotation in expression.annotation_ids or ()]

    def _read(self, video: Video, annotation: int) -> tuple[bytes, ...]:
        try:
            items = self._places[video.name, annotation].read(self._path)
            return _read_annotation(items, video)
        except ValueError as error:
            raise InputError(
                f"{self._path}: it has changed while it was in use; run the same command again"
            ) from error

    def part(self, video: Video) -> "GroundTruth":
        """Return the truth of one video alone: small enough to be sent to another process."""
        own = {key: place for key, place in self._places.items() if key[0] == video.name}
        return GroundTruth(self._path, own)


def read_ground_truth(split: Split) -> GroundTruth:
    """Read and check the masks that the sentences of `split` refer to; one is held at a time.

    Raises InputError when the split has no mask_dict.json, and FaultyInput with every
    annotation that is missing, of another length or size than the video, or damaged.
    """
    path = split.mask_file
    if path is None:
        raise InputError(
            f"{split.folder}: no {MASK_FILE}, so this split has no ground truth to score with; "
            "score on a split that has one, such as valid_u"
        )
    places, wrong = _check_annotations(path, split)
    faults = [
        fault
        for video, expression in split.sentences()
        for fault in _faults_of(video, expression, places, wrong)
    ]
    if faults:
        raise FaultyInput(
            f"{path}: the ground truth has {counted(len(faults), 'fault')}:",
            faults,
            _advice(split, faults),
        )
    return GroundTruth(path, places)


def _check_annotations(path: Path, split: Split) -> tuple[dict[_Key, Span], dict[_Key, str]]:
    """Return where the annotations of the split lie, and what is wrong with some."""
    wanted: dict[str, dict[str, Video]] = {}  # by annotation: the videos that mean it, mostly one
    for video, expression in split.sentences():
        for annotation in expression.annotation_ids or ():
            wanted.setdefault(str(annotation), {})[video.name] = video
    places: dict[_Key, Span] = {}
    wrong: dict[_Key, str] = {}
    for name, items, place in read_members(path):
        for video in wanted.get(name, {}).values():
            key = (video.name, int(name))
            wrong.pop(key, None)  # of the same annotation written twice, the last one counts
            places[key] = place
            try:
                _read_annotation(items, video)
            except ValueError as error:
                wrong[key] = str(error)
    return places, wrong


def _faults_of(
    video: Video, expression: Expression, places: Mapping[_Key, Span], wrong: Mapping[_Key, str]
) -> list[Fault]:
    where = f"{MASK_FILE}, video {video.name}, expression {expression.id}"
    if expression.annotation_ids is None:
        return [Fault(where, _NO_IDS)]
    faults = []
    for annotation in expression.annotation_ids:
        key = (video.name, annotation)
        reason = wrong.get(key) if key in places else "it is missing"
        if reason:
            faults.append(Fault(where, f"annotation {annotation}: {reason}"))
    return faults


def _advice(split: Split, faults: Sequence[Fault]) -> str:
    if any(fault.what == _NO_IDS for fault in faults):
        return f"Take the meta file that came with {MASK_FILE}: its sentences have anno_id."
    return f"{MASK_FILE} must belong to {split.meta_file.name}; where it does, download it again."


def _read_annotation(items: Any, video: Video) -> tuple[bytes, ...]:
    """Return the counts for each frame; raise ValueError with a reason."""
    if not isinstance(items, list):
        raise ValueError("it must be a list with one mask for each frame")
    if len(items) != len(video.frame_names):
        raise ValueError(f"it has {len(items)} masks for {len(video.frame_names)} frames")
    nothing = encode_ends(np.array([video.size[0] * video.size[1]]), False)
    counts: list[bytes] = []
    for index, item in enumerate(items):
        try:
            counts.append(read_item(item, video.size) if item else nothing)
        except ValueError as error:
            raise ValueError(f"frame {video.frame_names[index]}: {error}") from error
    if fault := first_fault(counts, video.size):
        raise ValueError(f"frame {video.frame_names[fault[0]]}: {fault[1]}")
    return tuple(counts)
