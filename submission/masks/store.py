"""The prediction store: what each expert answered, one file for each sentence.

Promises: a file is there whole or not at all, so work can stop at any moment; and what is read
belongs to the recipe, checkpoint, sentence and video that are asked for, or it is refused.

    <run>/predictions/<expert>/expert.json                     who answered: the identity record
    <run>/predictions/<expert>/<video>/<expression>.json       the answer
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from submission.dataset.names import name_fault
from submission.dataset.records import Expression, Split, Video
from submission.errors import Fault, FaultyInput, InputError, StoreMismatch, list_faults
from submission.masks.track import Track
from submission.strict_json import read_json
from submission.whole_files import write_json

IDENTITY_FILE = "expert.json"
_FIELDS: dict[str, type] = {"sentence": str, "size": list, "masks": list}
NO_MASKS = {"masks": "none"}  # in the identity of who answers with numbers only, and has no vote
CONFIDENCE_DIGITS = 3  # decimals of a stored confidence
# What details may be called so in every family, because others read them.
_KNOWN_DETAILS: dict[str, type] = {
    "text": str,  # what a language model answered
    "key_frames": list,  # indices of the frames that it looked at
    "num_seg": int,  # objects that it named
    "confidence": list,  # by frame, a number or null: the higher, the surer of the frame's mask
    "why_empty": str,  # a reason for a track without masks
}


@dataclass(frozen=True)
class Prediction:
    """An expert's answer to one sentence: the masks, and what else is worth knowing of it.

    `details` are JSON values under names of the expert's choice, except for "sentence", "size" and
    "masks"; those that any reader understands are "text", "key_frames", "num_seg", "confidence" (a
    short number for each frame) and "why_empty".
    """

    sentence: str
    track: Track
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if taken := self.details.keys() & _FIELDS.keys():
            raise ValueError(f"details may not be called {', '.join(sorted(taken))}")


class PredictionStore:
    """The answers below one folder; every method names the file when something is wrong.

    A store remembers which answers it has written or compared, by the state of their files, so that
    the stages of one run read each of 11,000 files once to compare it and not once for each stage.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._compared: dict[Path, _Seen] = {}

    def path(self, expert: str, video: str, expression: str) -> Path:
        """Return where an answer is or will be."""
        return self.folder / expert / video / f"{expression}.json"

    def claim(self, expert: str, identity: Mapping[str, Any]) -> None:
        """Make sure that the expert's folder holds answers of exactly this identity.

        A new folder gets the identity record. Raises StoreMismatch, naming each value that
        differs, where answers of another identity, or of none, are already there.
        """
        if reason := name_fault(expert):
            raise InputError(f"expert: {reason}; give the expert another name in the recipe")
        path = self.folder / expert / IDENTITY_FILE
        wanted = json.loads(json.dumps(identity))
        if path.exists():
            self._compare(path, read_json(path), wanted)
        elif next(path.parent.glob("*/*.json"), None) is not None:
            raise StoreMismatch(
                f"{path.parent}: it holds predictions but no {IDENTITY_FILE}, so nobody can tell "
                "what made them; delete this folder, or choose another with --run"
            )
        else:
            write_json(path, wanted)

    def lacks(self, experts: Iterable[str], split: Split) -> bool:
        """Tell whether any of these experts has an answer still to give; nothing is opened."""
        return any(
            not self.path(expert, video.name, expression.id).exists()
            for expert in experts
            for video in split.videos
            for expression in video.expressions
        )

    def identity(self, expert: str) -> Any:
        """Return the identity record of an expert's answers, None when there is none."""
        path = self.folder / expert / IDENTITY_FILE
        return read_json(path) if path.exists() else None

    def forget(self, expert: str, identity: Any) -> None:
        """Remove an expert's answers, as long as they are those of this identity."""
        folder = self.folder / expert
        if self.identity(expert) != identity:
            return  # another process was first
        for path in folder.iterdir():  # the record last: until then what is left is still known
            if path.is_dir():
                shutil.rmtree(path)
        (folder / IDENTITY_FILE).unlink()
        self._compared.clear()

    def has(self, expert: str, video: Video, expression: Expression) -> bool:
        """Tell whether the answer is there and belongs to this sentence of this video.

        Raises StoreMismatch when it belongs to another, and InputError when it is damaged.
        """
        path = self.path(expert, video.name, expression.id)
        if not path.exists():
            return False
        if fault := self._difference(path, video, expression):
            raise _mismatch(expert, [fault])
        return True

    def write(self, expert: str, video: str, expression: str, prediction: Prediction) -> None:
        """Keep an answer, whole and on disk when this returns."""
        value = {
            "sentence": prediction.sentence,
            **prediction.details,
            "size": list(prediction.track.size),
            "masks": prediction.track.to_json(),
        }
        path = self.path(expert, video, expression)
        write_json(path, value, indent=None)
        track = prediction.track
        self._compared[path] = _seen(path, prediction.sentence, track.size, len(track))

    def read(self, expert: str, video: Video, expression: Expression) -> Prediction:
        """Return the answer; raise InputError when it is missing or damaged.

        Raises StoreMismatch when it belongs to another sentence or video.
        """
        path = self.path(expert, video.name, expression.id)
        if not path.exists():
            raise InputError(f"{path}: no such prediction; run predict for this split first")
        stored = _read_fields(path)
        if fault := _difference(path, stored, video, expression):
            raise _mismatch(expert, [fault])
        try:
            track = Track.from_json(stored["masks"], video.size)
        except ValueError as error:
            raise _damaged(path, str(error)) from error
        details = {key: value for key, value in stored.items() if key not in _FIELDS}
        return Prediction(stored["sentence"], track, details)

    def unanswered(self, expert: str, split: Split) -> list[tuple[Video, Expression]]:
        """Return the sentences of the split that the expert has not answered, in order.

        Raises StoreMismatch with every answer that belongs to another sentence or video, and
        FaultyInput with every damaged one.
        """
        unanswered, mismatched, damaged = [], [], []
        for video in split.videos:
            for expression in video.expressions:
                path = self.path(expert, video.name, expression.id)
                if not path.exists():
                    unanswered.append((video, expression))
                    continue
                try:
                    fault = self._difference(path, video, expression)
                except InputError as error:
                    where = f"expert {expert}, video {video.name}, expression {expression.id}"
                    damaged.append(Fault(where, str(error)))
                else:
                    mismatched += [fault] if fault else []
        if mismatched:
            raise _mismatch(expert, mismatched)
        if damaged:
            raise FaultyInput(f"{self.folder / expert}: damaged predictions:", damaged)
        return unanswered

    def _difference(self, path: Path, video: Video, expression: Expression) -> Fault | None:
        now = _seen(path, expression.sentence, video.size, len(video.frame_names))
        if self._compared.get(path) == now:
            return None
        fault = _difference(path, _read_fields(path), video, expression)
        if fault is None:
            self._compared[path] = now
        return fault

    def _compare(self, path: Path, stored: Any, wanted: dict[str, Any]) -> None:
        before, now = _flatten(stored), _flatten(wanted)
        keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        if not keys:
            return
        raise StoreMismatch(
            list_faults(
                f"{path.parent}: these predictions were made differently:",
                [Fault(key, f"{_show(before, key)} then, {_show(now, key)} now") for key in keys],
                f"Choose another folder with --run, or delete {path.parent} to predict again.",
            )
        )


_Seen = tuple[int, int, str, tuple[int, int], int]


def _seen(path: Path, sentence: str, size: tuple[int, int], num_frames: int) -> _Seen:
    """The state of a file, and what it was found to be about."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, sentence, size, num_frames


def _read_fields(path: Path) -> dict[str, Any]:
    try:
        stored = read_json(path)
    except InputError as error:
        raise _damaged(path, str(error).removeprefix(f"{path}: ")) from error
    if not isinstance(stored, dict):
        raise _damaged(path, "it is not an object")
    for name, kind in _FIELDS.items():
        if not isinstance(stored.get(name), kind):
            raise _damaged(path, f'"{name}" is missing or of the wrong type')
    for name, kind in _KNOWN_DETAILS.items():
        if name in stored and not isinstance(stored[name], kind):
            raise _damaged(path, f'"{name}" is of the wrong type')
    if not all(type(index) is int for index in stored.get("key_frames", ())):
        raise _damaged(path, '"key_frames" must be whole numbers')
    return stored


def _difference(
    path: Path, stored: Mapping[str, Any], video: Video, expression: Expression
) -> Fault | None:
    pairs = (
        ("sentence", stored["sentence"], expression.sentence),
        ("size", stored.get("size"), list(video.size)),
        ("number of frames", len(stored["masks"]), len(video.frame_names)),
    )
    different = [f"{what} {old!r}, the split has {new!r}" for what, old, new in pairs if old != new]
    return Fault(str(path), "; ".join(different)) if different else None


def _mismatch(expert: str, faults: list[Fault]) -> StoreMismatch:
    return StoreMismatch(
        list_faults(
            f"The predictions of {expert} were made for other data:",
            faults,
            "Choose another folder with --run, or delete these files to predict them again.",
        )
    )


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: damaged prediction ({reason}); delete it and run predict again")


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested objects as one level, with dots: {"a": {"b": 1}} is {"a.b": 1}."""
    if not isinstance(value, dict) or not value:
        return {prefix or "(everything)": value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flatten(item, f"{prefix}.{key}" if prefix else key)
    return flat


def _show(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "nothing"
    text = json.dumps(values[key], ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
