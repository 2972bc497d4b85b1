"""A meta file's JSON becomes records, or a list of everything that is wrong in it.

Knows the JSON layout of MeViS v1 and v2; touches no frame and no mask. The size of a video is
not in the meta file and stays (0, 0) here.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from submission.dataset.names import name_fault
from submission.dataset.records import Expression, Video
from submission.errors import Fault
from submission.files.strict_json import JsonObject, read_json

UNKNOWN_SIZE = (0, 0)


def read_meta(path: Path) -> tuple[list[Video], list[Fault]]:
    """Return the videos whose names and frames can be used, and every fault of the file.

    Videos and frames keep the order of the file, expressions are in numeric order where all ids
    of the video are numbers and sorted as strings elsewhere. Raises InputError, with line and
    column, when the file is not JSON at all.
    """
    reader = _MetaReader(path.name)
    return reader.videos(read_json(path, keep_repeated=True)), reader.faults


class _MetaReader:
    """Walks down the JSON once and notes each fault with the place where it stands."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []

    def fault(self, what: str, video: str | None = None, expression: str | None = None) -> None:
        place = self.file
        if video is not None:
            place += f", video {ascii(video)[1:-1]}"
        if expression is not None:
            place += f", expression {ascii(expression)[1:-1]}"
        self.faults.append(Fault(place, what))

    def videos(self, value: Any) -> list[Video]:
        videos = value.get("videos") if isinstance(value, JsonObject) else None
        if not isinstance(videos, JsonObject):
            self.fault('it must be an object with the key "videos", itself an object')
            return []
        if not videos:
            self.fault("the split has no videos")
        for key in value.repeated:
            self.fault(f'the key "{key}" is there more than once')
        for name in videos.repeated:
            self.fault("this video name is there more than once", name)
        read = [self.video(name, entry) for name, entry in videos.items()]
        return [video for video in read if video is not None]

    def video(self, name: str, value: Any) -> Video | None:
        reason = name_fault(name)
        if reason:
            self.fault(reason, name)
        if not isinstance(value, JsonObject):
            self.fault(
                f"it must be an object with frames and expressions, not {_kind(value)}", name
            )
            return None
        for key in value.repeated:
            self.fault(f'the key "{key}" is there more than once', name)
        listed = self.frames(name, value.get("frames"))
        expressions = self.expressions(name, value.get("expressions"))
        if reason or not listed:
            return None
        return Video(name, tuple(listed), UNKNOWN_SIZE, expressions)

    def frames(self, video: str, value: Any) -> list[str]:
        if not isinstance(value, list):
            self.fault(f'"frames" must be a list of frame names, not {_kind(value)}', video)
            return []
        if not value:
            self.fault("the video has no frames", video)
        usable: list[str] = []
        seen: set[str] = set()
        if strange := [frame for frame in value if not isinstance(frame, str)]:
            what = f"must be text such as 00000, not {_kind(strange[0])}"
            self.fault(f"{len(strange)} of {len(value)} frame names {what}", video)
        for frame in value:
            if not isinstance(frame, str):
                continue
            if reason := name_fault(frame):
                self.fault(f"frame: {reason}", video)
            elif frame in seen:
                self.fault(f"frame {frame} is listed more than once", video)
            else:
                seen.add(frame)
                usable.append(frame)
        return usable

    def expressions(self, video: str, value: Any) -> tuple[Expression, ...]:
        if not isinstance(value, JsonObject):
            self.fault(f'"expressions" must be an object, not {_kind(value)}', video)
            return ()
        if not value:
            self.fault("the video has no expressions", video)
        for key in value.repeated:
            self.fault("this expression id is there more than once", video, key)
        return tuple(self.expression(video, key, value[key]) for key in _in_order(value))

    def expression(self, video: str, key: str, value: Any) -> Expression:
        if reason := name_fault(key):
            self.fault(reason, video, key)
        if not isinstance(value, JsonObject):
            self.fault(f'it must be an object with the key "exp", not {_kind(value)}', video, key)
            return Expression(video, key, "")
        for field in value.repeated:
            self.fault(f'the key "{field}" is there more than once', video, key)
        sentence = value.get("exp")
        if not isinstance(sentence, str):
            self.fault(f'the sentence "exp" must be text, not {_kind(sentence)}', video, key)
            sentence = ""
        elif not sentence.strip():
            self.fault('the sentence "exp" is empty', video, key)
        elif not _is_unicode(sentence):
            self.fault('the sentence "exp" is not valid Unicode', video, key)
        objects = self.integers(video, key, "obj_id", value.get("obj_id"))
        annotations = self.integers(video, key, "anno_id", value.get("anno_id"))
        return Expression(video, key, sentence, objects, annotations)

    def integers(self, video: str, key: str, field: str, value: Any) -> tuple[int, ...] | None:
        if value is None:
            return None
        if isinstance(value, list) and all(type(item) is int for item in value):
            return tuple(value)
        self.fault(f'"{field}" must be a list of whole numbers', video, key)
        return None


def _in_order(ids: Iterable[str]) -> list[str]:
    names = list(ids)
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    names = {bool: "true or false", str: "text", list: "a list", int: "a number", float: "a number"}
    return names.get(type(value), "an object")
