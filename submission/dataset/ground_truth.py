"""The true masks of a split: mask_dict.json, checked against the split before it is used."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from submission.dataset.records import MASK_FILE, Expression, Split, Video
from submission.dataset.rle import decode, encode_ends, first_fault, read_item
from submission.errors import Fault, FaultyInput, InputError
from submission.strict_json import read_json

_NO_IDS = "the meta file has no anno_id for this sentence"

_Counts = tuple[bytes, ...]  # of one annotation in each frame
_Key = tuple[str, int]  # video, annotation id


class GroundTruth:
    """True masks by video and expression; all of them fit the split that they were read for."""

    def __init__(self, annotations: dict[_Key, _Counts]) -> None:
        self._annotations = annotations

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
        """Return the run lengths of every object that the sentence means, one for each frame."""
        annotations = expression.annotation_ids or ()
        return [self._annotations[video.name, annotation] for annotation in annotations]

    def part(self, video: Video) -> "GroundTruth":
        """Return the truth of one video alone: small enough to be sent to another process."""
        own = {key: track for key, track in self._annotations.items() if key[0] == video.name}
        return GroundTruth(own)


def read_ground_truth(split: Split) -> GroundTruth:
    """Read the masks that the sentences of `split` refer to.

    Raises InputError when the split has no mask_dict.json, and FaultyInput with every
    annotation that is missing, of another length or size than the video, or damaged.
    """
    path = split.mask_file
    if path is None:
        raise InputError(
            f"{split.folder}: no {MASK_FILE}, so this split has no ground truth to score with; "
            "score on a split that has one, such as valid_u"
        )
    stored = read_json(path)
    if not isinstance(stored, dict):
        raise InputError(f"{path}: it must be an object: annotation id to a list of masks")
    annotations: dict[_Key, _Counts] = {}
    faults: list[Fault] = []
    for video in split.videos:
        for expression in video.expressions:
            where = f"{MASK_FILE}, video {video.name}, expression {expression.id}"
            faults.extend(_read_annotations(stored, video, expression, annotations, where))
    if faults:
        raise FaultyInput(
            f"{path}: the ground truth has {len(faults)} fault{'s' * (len(faults) != 1)}:",
            faults,
            _advice(split, faults),
        )
    return GroundTruth(annotations)


def _advice(split: Split, faults: Sequence[Fault]) -> str:
    if any(fault.what == _NO_IDS for fault in faults):
        return f"Take the meta file that came with {MASK_FILE}: its sentences have anno_id."
    return f"{MASK_FILE} must belong to {split.meta_file.name}; where it does, download it again."


def _read_annotations(
    stored: dict[str, Any],
    video: Video,
    expression: Expression,
    annotations: dict[_Key, _Counts],
    where: str,
) -> list[Fault]:
    if expression.annotation_ids is None:
        return [Fault(where, _NO_IDS)]
    faults: list[Fault] = []
    for annotation in expression.annotation_ids:
        key = (video.name, annotation)
        try:
            if key not in annotations:
                annotations[key] = _read_annotation(stored.get(str(annotation)), video)
        except ValueError as error:
            faults.append(Fault(where, f"annotation {annotation}: {error}"))
    return faults


def _read_annotation(items: Any, video: Video) -> _Counts:
    """Return the counts for each frame; raise ValueError with a reason."""
    if items is None:
        raise ValueError("it is missing")
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
