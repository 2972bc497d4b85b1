"""What the file of an answer must hold: read member by member, and compared with the split."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from submission.dataset.records import Expression, Video
from submission.errors import Fault, InputError
from submission.files.sealed_json import SEAL, read_sealed
from submission.masks.identity import MADE_BY, MEND

_FIELDS: dict[str, type] = {"sentence": str, "size": list, "masks": list}
FRAME_BYTES = "frame_bytes"  # of all frame files of the video, where the expert looked at them
TAKEN = {*_FIELDS, FRAME_BYTES, MADE_BY, SEAL}  # names that no detail may have
# What details may be called so in every family, because others read them.
_KNOWN_DETAILS: dict[str, type] = {
    "text": str,  # what a language model answered
    "key_frames": list,  # indices of the frames that it looked at
    "num_seg": int,  # objects that it named
    "confidence": list,  # by frame, a number or null: the higher, the surer of the frame's mask
    "why_empty": str,  # a reason for a track without masks
}


def read_fields(path: Path) -> dict[str, Any]:
    """Return the members of an answer's file; raise InputError where one is not what it must be."""
    try:
        stored = read_sealed(path)
    except InputError as error:
        raise damaged(path, str(error).removeprefix(f"{path}: ")) from error
    for name, kind in _FIELDS.items():
        if not isinstance(stored.get(name), kind):
            raise damaged(path, f'"{name}" is missing or of the wrong type')
    for name, kind in _KNOWN_DETAILS.items():
        if name in stored and not isinstance(stored[name], kind):
            raise damaged(path, f'"{name}" is of the wrong type')
    if not all(type(index) is int for index in stored.get("key_frames", ())):
        raise damaged(path, '"key_frames" must be whole numbers')
    return stored


def difference(
    path: Path, stored: Mapping[str, Any], video: Video, expression: Expression
) -> Fault | None:
    """Say in what an answer is not that to this sentence of this video, None where it is."""
    frame_bytes = video.frame_bytes and stored.get(FRAME_BYTES, video.frame_bytes)
    pairs = (
        ("sentence", stored["sentence"], expression.sentence),
        ("size", stored.get("size"), list(video.size)),
        ("number of frames", len(stored["masks"]), len(video.frame_names)),
        # Not in answers of earlier versions, and of those that no frame decides.
        ("bytes of its frames", frame_bytes, video.frame_bytes),
    )
    different = [f"{what} {old!r}, the split has {new!r}" for what, old, new in pairs if old != new]
    return Fault(str(path), "; ".join(different)) if different else None


def damaged(path: Path, reason: str) -> InputError:
    """The error of a file that is no whole answer."""
    return InputError(f"{path}: damaged prediction ({reason}); {MEND} predicts it again")
