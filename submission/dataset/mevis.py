"""Read a MeViS split from disk and check all of it before anything else starts.

Promises: a Split that is returned has safe names, readable frames of one size in each video,
and a sentence for each expression; otherwise every fault found is in one error.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from submission.counted import counted
from submission.dataset.frame_files import (
    FRAME_FOLDER,
    FrameFiles,
    Place,
    find_frame,
    open_frame_files,
)
from submission.dataset.images import (
    BrokenImage,
    decode_image,
    ends_properly,
    mode_fault,
    most_bytes,
    open_image,
)
from submission.dataset.meta_file import read_meta
from submission.dataset.missing_frames import missing_frames
from submission.dataset.records import Expression, Split, Video
from submission.errors import Fault, FaultyInput, InputError

__all__ = ["META_FILES", "Expression", "Split", "Video", "read_split"]

META_FILES = (
    "meta_expressions.json",  # MeViS v1: train, valid_u, valid
    "meta_expressions_v2.json",  # MeViS v2: train, valid_u
    "meta_expressions_release.json",  # v1 challenge test
    "meta_expressions_v2_release.json",  # MeViS v2: valid
)
_HEAD = 16 * 1024  # bytes, enough for the header of nearly every frame
_LONG_HEAD = 16 << 20  # bytes, enough for one with an embedded preview
_TAIL = 8  # bytes, enough for the end mark of JPEG and PNG
_READERS = 8  # threads; the work is mostly waiting for a disk


def read_split(root: str | Path, name: str, meta: str | None = None) -> Split:
    """Return the split in `<root>/<name>`, checked.

    `meta` names the meta file where the folder holds several. Frames are checked by their
    header and their end, which takes seconds for 11,000 of them; a damaged middle shows when
    the frame is decoded. Raises FaultyInput with every fault, by file, video and expression.
    """
    root = Path(root)
    folder = root / name
    faults: list[Fault] = []
    videos: list[Video] = []
    files: FrameFiles | None = None
    meta_file = _find_meta(root, name, meta)
    try:
        videos, faults = read_meta(meta_file)
    except InputError as error:
        faults.append(Fault(meta_file.name, str(error).removeprefix(f"{meta_file}: ")))
    try:
        files = open_frame_files(folder)
    except InputError as error:
        faults.append(Fault(FRAME_FOLDER, str(error).removeprefix(f"{folder}: ")))
    if files is not None:
        asked = {video.name for video in videos}
        videos = [_measure(video, asked, files, folder, faults) for video in videos]
    if faults:
        raise FaultyInput(
            f"{folder}: the split has {counted(len(faults), 'fault')}:",
            faults,
            "Nothing was started. Mend these files, or download them again, and repeat the call.",
        )
    return Split(root, name, meta_file, tuple(videos))


def _find_meta(root: Path, name: str, meta: str | None) -> Path:
    folder = root / name
    if not root.is_dir():
        here = "" if root.is_absolute() else f" in {Path.cwd()}"
        advice = "Pass the folder that holds the splits: --data."
        raise _one_fault(root, f"no such folder{here}", advice)
    if not folder.is_dir():
        raise _one_fault(folder, "no such split", _other_splits(root))
    if meta is not None:
        if not (folder / meta).is_file():
            raise _one_fault(folder / meta, "no such meta file", "Pass another: --meta NAME.")
        return folder / meta
    found = [file for file in META_FILES if (folder / file).is_file()]
    if not found:
        advice = f"A split has one of {', '.join(META_FILES)}; name any other: --meta NAME."
        raise _one_fault(folder, "no meta file", advice)
    if len(found) > 1:
        advice = f"Say which one to read: --meta {found[0]}"
        raise _one_fault(folder, f"several meta files: {', '.join(found)}", advice)
    return folder / found[0]


def _other_splits(root: Path) -> str:
    """Say which splits are in a folder, or that it is one itself, or lies in one."""
    splits = sorted(path.parent.name for file in META_FILES for path in root.glob(f"*/{file}"))
    if known := ", ".join(dict.fromkeys(splits)):
        return f"Splits in {root}: {known}. Pass one of them: --split NAME."
    above = root.absolute()
    for split in (above, *above.parents[:1]):
        if any((split / file).is_file() for file in META_FILES):
            return f"{split} is a split itself: --data {split.parent} --split {split.name}"
    return (
        f"No folder in {root} has a meta file ({META_FILES[0]}): pass the folder that holds the "
        "splits: --data."
    )


def _one_fault(where: Path, what: str, advice: str) -> FaultyInput:
    return FaultyInput("The split cannot be read:", [Fault(str(where), what)], advice)


def _measure(
    video: Video, asked: set[str], files: FrameFiles, folder: Path, faults: list[Fault]
) -> Video:
    """Return the video with its sizes, and note each frame that is missing, damaged or odd.

    `asked` has the names of all videos of the split.
    """
    places = files.places(video.name) or {}
    where = files.where(video.name).removeprefix(f"{folder}/")
    faults.extend(
        Fault(fault.where.removeprefix(f"{folder}/"), fault.what)
        for fault in missing_frames(video, asked, files)
    )
    found = [(frame, place) for frame in video.frame_names if (place := find_frame(places, frame))]

    def look(place: Place) -> tuple[int, int] | Fault:
        try:
            return _frame_size(place)
        except (OSError, BrokenImage) as error:
            return Fault(str(place).removeprefix(f"{folder}/"), f"the frame is unreadable: {error}")

    with ThreadPoolExecutor(_READERS) as pool:
        looks = list(pool.map(look, (place for _, place in found)))
    unreadable = [look for look in looks if isinstance(look, Fault)]
    if len(unreadable) == len(video.frame_names) > 1 and len({f.what for f in unreadable}) == 1:
        unreadable = [Fault(where, f"all {len(unreadable)} frames: {unreadable[0].what}")]
    faults.extend(unreadable)
    sizes = [
        (frame, look)
        for (frame, _), look in zip(found, looks, strict=True)
        if not isinstance(look, Fault)
    ]
    if not sizes:
        return video
    faults.extend(_odd_sizes(sizes, where))
    return replace(video, size=sizes[0][1], frame_bytes=sum(place.size for _, place in found))


def _odd_sizes(sizes: Sequence[tuple[str, tuple[int, int]]], where: str) -> list[Fault]:
    height, width = sizes[0][1]
    return [
        Fault(
            f"{where}/{frame}",
            f"the frame has {size[1]} x {size[0]} pixels, the video begins with {width} x {height}",
        )
        for frame, size in sizes
        if size != (height, width)
    ]


def _frame_size(place: Place) -> tuple[int, int]:
    """Return (height, width) of a frame that begins and ends as an image does."""
    try:
        image = open_image(place.read(count=_HEAD))
    except BrokenImage:
        image = open_image(place.read(count=_LONG_HEAD))
    if reason := mode_fault(image):
        raise BrokenImage(reason)
    size = image.height, image.width
    if not ends_properly(
        image.format, place.read(max(place.size - _TAIL, 0), most=most_bytes(size))
    ):
        decode_image(place.read())
    return size
