"""The layout of a submission, `<video>/<expression id>/<frame>.png`, and what departs from it.

Pure: file names in, faults out. Whole folders that are missing or too many are one fault.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from submission.counted import counted
from submission.dataset.records import Split, Video
from submission.errors import Fault

TEAM_FILE = "team.json"
_JUNK = re.compile(r"(^|/)(__MACOSX/|\.DS_Store$|\._[^/]*$|Thumbs\.db$|desktop\.ini$)")
JUNK_PATTERNS = ("__MACOSX/*", "*.DS_Store", "*/._*", "*Thumbs.db", "*desktop.ini")  # for zip -d
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar")
_DRIVE = re.compile(r"^[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def file_name(video: str, expression: str, frame: str) -> str:
    """Return the name of one mask, relative to the submission."""
    return f"{video}/{expression}/{frame}.png"


def file_names(split: Split) -> Iterator[str]:
    """Give the names of all masks that a split asks for, in its order."""
    for video, expression in split.sentences():
        for frame in video.frame_names:
            yield file_name(video.name, expression.id, frame)


@dataclass(frozen=True)
class Listing:
    """The file names of a submission, sorted out: plain name -> name as stored, and faults."""

    members: dict[str, str]
    harmful: tuple[Fault, ...]
    junk: tuple[Fault, ...]  # what no judge wants and no reader minds
    wrapper: str | None  # a folder around everything, to be taken away


def sort_out(names: Iterable[str], split: Split) -> Listing:
    """Set aside what is unsafe, junk, an archive or there twice; look through a wrapper folder."""
    unsafe: dict[str, list[str]] = {}
    junk: list[str] = []
    archives: list[str] = []
    stored: dict[str, list[str]] = {}
    for name in names:
        if reason := _unsafe(name):
            unsafe.setdefault(reason, []).append(name)
        elif _JUNK.search(name):
            junk.append(name)
        elif name.lower().endswith(_ARCHIVES):
            archives.append(name)
        else:
            plain = "/".join(part for part in name.split("/") if part not in ("", "."))
            stored.setdefault(plain, []).append(name)
    faults = [_several(found, reason) for reason, found in unsafe.items()]
    if archives:
        what = "an archive inside the submission, which nobody unpacks; pass what is in it"
        faults.append(_several(archives, what))
    for plain, found in stored.items():
        if len(found) > 1:
            faults.append(Fault(plain, f"the name is there {len(found)} times"))
    left = (
        [_several(junk, "left by a desktop, not part of a submission; delete it")] if junk else []
    )
    members = {plain: found[-1] for plain, found in stored.items()}
    wrapper = find_wrapper(members, split)
    if wrapper is not None:
        members = {name.removeprefix(f"{wrapper}/"): found for name, found in members.items()}
    return Listing(members, tuple(faults), tuple(left), wrapper)


def find_wrapper(names: Iterable[str], split: Split) -> str | None:
    """Return the folder around all videos, such as "Annotations", or None when there is none."""
    videos = {video.name for video in split.videos}
    wrappers = set()
    for name in names:
        parts = name.split("/")
        if parts[0] in videos:
            return None
        if len(parts) > 3 and parts[-3] in videos:
            wrappers.add("/".join(parts[:-3]))
    return wrappers.pop() if len(wrappers) == 1 else None


def missing_faults(names: Collection[str], split: Split) -> list[Fault]:
    """Return a fault for each video, sentence or frame without its files."""
    folders = {name.rpartition("/")[0] for name in names}
    videos = {folder.partition("/")[0] for folder in folders}
    faults: list[Fault] = []
    for video in split.videos:
        if video.name not in videos:
            what = f"the video is missing ({counted(video.num_masks, 'file')})"
            faults.append(Fault(video.name, what))
            continue
        for expression in video.expressions:
            faults += _missing_frames(names, folders, video, expression.id)
    return faults


def extra_faults(names: Iterable[str], split: Split) -> list[Fault]:
    """Return a fault for each video, sentence or file that the split does not ask for."""
    frames = {video.name: {f"{frame}.png" for frame in video.frame_names} for video in split.videos}
    sentences = {
        video.name: {expression.id for expression in video.expressions} for video in split.videos
    }
    extra: Counter[tuple[str, str]] = Counter()  # kind and outermost name of what is too many
    for name in names:
        video, _, rest = name.partition("/")
        expression, _, frame = rest.partition("/")
        if name == TEAM_FILE or (frame in frames.get(video, ()) and expression in sentences[video]):
            continue
        if rest and video not in frames:
            extra["video", video] += 1
        elif frame and expression not in sentences[video]:
            extra["expression", f"{video}/{expression}"] += 1
        else:
            extra["file", name] += 1
    return [
        Fault(where, f"the {kind} is not in the split{more}")
        for (kind, where), count in extra.items()
        for more in [f" ({counted(count, 'file')})" * (kind != "file")]
    ]


def _missing_frames(
    names: Collection[str], folders: Collection[str], video: Video, expression: str
) -> list[Fault]:
    folder = f"{video.name}/{expression}"
    if folder not in folders:
        what = f"the expression is missing ({counted(len(video.frame_names), 'file')})"
        return [Fault(folder, what)]
    wanted = (file_name(video.name, expression, frame) for frame in video.frame_names)
    return [Fault(name, "the frame is missing") for name in wanted if name not in names]


def _unsafe(name: str) -> str | None:
    if name.startswith("/") or _DRIVE.match(name):
        return "an absolute name, which would be written outside the submission"
    if "\\" in name:
        return 'a name with "\\", which is no folder on the judge\'s machine; zip with "/"'
    if ".." in name.split("/"):
        return "a name with .., which would be written outside the submission"
    if _CONTROL.search(name):
        return "a name with a control character"
    return None


def _several(names: list[str], what: str) -> Fault:
    more = f" ({len(names)} such files)" if len(names) > 1 else ""
    return Fault(ascii(names[0])[1:-1], what + more)
