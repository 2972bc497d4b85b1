"""The prediction store: what each expert answered, one file for each sentence.

Promises: a file is there whole or not at all, so work can stop at any moment; and what is read
belongs to the recipe, checkpoint, sentence and video that are asked for, or it is refused.

    <run>/predictions/<expert>/expert.json                     who answered: the identity record
    <run>/predictions/<expert>/<video>/<expression>.json       the answer
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from submission.dataset.names import name_fault
from submission.dataset.records import Expression, Split, Video
from submission.errors import Fault, FaultyInput, InputError, StoreMismatch, list_faults
from submission.files.removal import remove
from submission.files.sealed_json import write_sealed
from submission.files.user_cache import one_at_a_time
from submission.masks.answer_fields import FRAME_BYTES, TAKEN, damaged, difference, read_fields
from submission.masks.identity import (
    IDENTITY_FILE,
    MADE_BY,
    MEND,
    claim_folder,
    first_answer,
    maker_of,
    mend_folder,
    read_identity,
)
from submission.masks.track import Track

NO_MASKS = {"masks": "none"}  # in the identity of who answers with numbers only, and has no vote
CONFIDENCE_DIGITS = 3  # decimals of a stored confidence


@dataclass(frozen=True)
class Prediction:
    """An expert's answer to one sentence: the masks, and what else is worth knowing of it.

    `details` are JSON values under names of the expert's choice, except for "sentence", "size",
    "masks", "frame_bytes", "made_by" and "crc32"; those that any reader understands are "text",
    "key_frames", "num_seg", "confidence" (a short number for each frame) and "why_empty".
    `of_frames` is False where no frame has a say in it, so that other frames make it no other.
    """

    sentence: str
    track: Track
    details: Mapping[str, Any] = field(default_factory=dict)
    of_frames: bool = True

    def __post_init__(self) -> None:
        if taken := self.details.keys() & TAKEN:
            raise ValueError(f"details may not be called {', '.join(sorted(taken))}")


class PredictionStore:
    """The answers below one folder; every method names the file when something is wrong.

    A store remembers which answers it has written or compared, by the state of their files, so that
    the stages of one run read each of 11,000 files once to compare it and not once for each stage.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._compared: dict[Path, _Seen] = {}
        self._makers: dict[str, str] = {}  # by expert: what its answers name as their maker

    def path(self, expert: str, video: str, expression: str) -> Path:
        """Return where an answer is or will be."""
        return self.folder / expert / video / f"{expression}.json"

    def claim(self, expert: str, identity: Mapping[str, Any], *, mend: bool = False) -> list[Path]:
        """Make sure that the expert's folder holds answers of exactly this identity.

        A new folder gets the identity record. With `mend` a damaged or missing record is made
        again, from answers that name this identity as their maker; those that name none and had
        to go for it are returned. Raises StoreMismatch, naming each value that differs, where
        answers of another identity, or of none, are already there, and InputError where the
        record is damaged.
        """
        if reason := name_fault(expert):
            raise InputError(f"expert: {reason}; give the expert another name in the recipe")
        wanted = json.loads(json.dumps(identity))
        gone = mend_folder(self.folder / expert, wanted) if mend else []
        claim_folder(self.folder / expert, wanted)
        self._makers[expert] = maker_of(wanted)
        return gone

    def refuse_mending(self, expert: str, identity: Mapping[str, Any]) -> None:
        """Raise StoreMismatch where `claim` with `mend` would; nothing is changed."""
        mend_folder(self.folder / expert, json.loads(json.dumps(identity)), dry=True)

    def is_empty(self, expert: str) -> bool:
        """Tell whether the expert has no answer, to whatever split; nothing is opened."""
        return first_answer(self.folder / expert) is None

    def lacks(self, experts: Iterable[str], split: Split) -> bool:
        """Tell whether any of these experts has an answer still to give; nothing is opened."""
        return any(
            not self.path(expert, video.name, expression.id).exists()
            for expert in experts
            for video, expression in split.sentences()
        )

    def identity(self, expert: str) -> Any:
        """Return the identity record of an expert's answers, None when there is none.

        Raises InputError where it is damaged.
        """
        return read_identity(self.folder / expert / IDENTITY_FILE)

    def forget(self, expert: str, identity: Any) -> None:
        """Remove an expert's answers, as long as they are those of this identity.

        Of several processes that want it at once, one does it, and the others wait.
        """
        folder = self.folder / expert
        with one_at_a_time(folder / IDENTITY_FILE):
            if self.identity(expert) != identity:
                return  # another process was first, and has perhaps begun anew
            for path in folder.iterdir():  # the record last: until then what is left is known
                if path.is_dir():
                    remove(path)
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
            raise _mismatch(self.folder / expert, [fault])
        return True

    def write(
        self, expert: str, video: str, expression: str, prediction: Prediction, frame_bytes: int = 0
    ) -> None:
        """Keep an answer, whole and on disk when this returns.

        `frame_bytes` is the video's, so that the answer is refused for other frames later.
        Raises StoreMismatch where another process has claimed the folder for another identity.
        """
        value = {
            "sentence": prediction.sentence,
            **prediction.details,
            "size": list(prediction.track.size),
            "masks": prediction.track.to_json(),
        }
        if expert in self._makers:
            self._refuse_another_maker(expert)
            value[MADE_BY] = self._makers[expert]
        if prediction.of_frames and frame_bytes:
            value[FRAME_BYTES] = frame_bytes
        path = self.path(expert, video, expression)
        write_sealed(path, value)
        track = prediction.track
        self._compared[path] = _seen(path, prediction.sentence, track.size, len(track), frame_bytes)

    def _refuse_another_maker(self, expert: str) -> None:
        try:
            stored = self.identity(expert)
        except InputError:
            return  # damaged: the next run tells it, and mends it from what answers say
        if stored is not None and maker_of(stored) != self._makers[expert]:
            raise StoreMismatch(
                f"{self.folder / expert}: another process has begun it anew, with other settings "
                "or masks, since this one started; give the same command again"
            )

    def read(self, expert: str, video: Video, expression: Expression) -> Prediction:
        """Return the answer; raise InputError when it is missing or damaged.

        Raises StoreMismatch when it belongs to another sentence or video.
        """
        path = self.path(expert, video.name, expression.id)
        if not path.exists():
            raise InputError(f"{path}: no such prediction; run predict for this split first")
        stored = read_fields(path)
        if fault := difference(path, stored, video, expression):
            raise _mismatch(self.folder / expert, [fault])
        try:
            track = Track.from_json(stored["masks"], video.size)
        except ValueError as error:
            raise damaged(path, str(error)) from error
        details = {key: value for key, value in stored.items() if key not in TAKEN}
        return Prediction(stored["sentence"], track, details)

    def unanswered(self, expert: str, split: Split) -> list[tuple[Video, Expression]]:
        """Return the sentences of the split that the expert has not answered, in order.

        Raises StoreMismatch with every answer that belongs to another sentence or video, and
        FaultyInput with every damaged one.
        """
        unanswered, mismatched, damaged = [], [], []
        for video, expression in split.sentences():
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
            raise _mismatch(self.folder / expert, mismatched)
        if damaged:
            advice = f"To have exactly these predicted again: {MEND}."
            raise FaultyInput(f"{self.folder / expert}: damaged predictions:", damaged, advice)
        return unanswered

    def damaged(self, expert: str, split: Split) -> list[Path]:
        """Return the expert's record and answers of the split that cannot be read to their end."""
        found = []
        try:
            self.identity(expert)
        except InputError:
            found.append(self.folder / expert / IDENTITY_FILE)
        for video, expression in split.sentences():
            path = self.path(expert, video.name, expression.id)
            try:
                if path.exists():
                    self.read(expert, video, expression)
            except StoreMismatch:
                continue  # whole, and of other data: `unanswered` says so
            except InputError:
                found.append(path)
        return found

    def drop(self, damaged: Iterable[Path]) -> None:
        """Remove what `damaged` found, so that it is made again."""
        for path in damaged:
            self._compared.pop(path, None)
            remove(path)

    def _difference(self, path: Path, video: Video, expression: Expression) -> Fault | None:
        about = expression.sentence, video.size, len(video.frame_names), video.frame_bytes
        now = _seen(path, *about)
        if self._compared.get(path) == now:
            return None
        fault = difference(path, read_fields(path), video, expression)
        if fault is None:
            self._compared[path] = now
        return fault


_Seen = tuple[int, int, str, tuple[int, int], int, int]


def _seen(
    path: Path, sentence: str, size: tuple[int, int], num_frames: int, frame_bytes: int
) -> _Seen:
    """The state of a file, and what it was found to be about."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, sentence, size, num_frames, frame_bytes


def _mismatch(folder: Path, faults: list[Fault]) -> StoreMismatch:
    return StoreMismatch(
        list_faults(
            f"The predictions of {folder.name} were made for other data:",
            faults,
            "Choose another folder with --run, or delete these files, or all of "
            f"{folder}, to predict them again.",
        )
    )
