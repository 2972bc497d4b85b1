"""Say which frames of a video are missing, and in one sentence what lies there instead."""

from collections.abc import Collection

from submission.dataset.frame_files import EXTENSIONS, FrameFiles, find_frame
from submission.dataset.near_names import pair_up
from submission.dataset.records import Video
from submission.errors import Fault

_LINES = 3  # frames that are named one by one


def missing_frames(video: Video, asked: Collection[str], files: FrameFiles) -> list[Fault]:
    """Return a fault for each missing frame, or one for all where there is more to say.

    `asked` has the names of all videos of the split, which stand for no other.
    """
    places, where = files.places(video.name), files.where(video.name)
    total = len(video.frame_names)
    if places is None:
        what = f"none of the {total} frames is there{_other_folder(video.name, asked, files)}"
        return [Fault(where, what)]
    missing = [frame for frame in video.frame_names if find_frame(places, frame) is None]
    instead = _other_files(video, missing, files) if missing else ""
    if not instead and len(missing) <= _LINES:
        return [Fault(f"{where}/{frame}.jpg", "the frame is missing") for frame in missing]
    first = f"the first of them {missing[0]}.jpg"
    return [Fault(where, f"{len(missing)} of {total} frames are missing, {first}{instead}")]


def _other_folder(video: str, asked: Collection[str], files: FrameFiles) -> str:
    near = pair_up([video], [name for name in files.videos() if name not in asked])
    if near is not None:
        return f"; {near.in_words('folder')}"
    elsewhere = files.elsewhere(video)
    return f"; the folder {elsewhere} is at the wrong level" if elsewhere else ""


def _other_files(video: Video, missing: list[str], files: FrameFiles) -> str:
    places = files.places(video.name) or {}
    listed = next((frame for frame in missing if frame in places), None)
    if listed is not None:
        name = listed.rpartition(".")[0]
        return f'; the meta file lists names with their ending: write "{name}" for "{listed}"'
    taken = {frame + ending for frame in video.frame_names for ending in EXTENSIONS}
    others = [name for name in places if name not in taken]
    near = pair_up([f"{frame}.jpg" for frame in missing], others)
    if near is not None:
        return f"; {near.in_words('file')}"
    if folders := files.subfolders(video.name):
        return f"; the folder {folders[0]}/ in it is one level too deep"
    return ""
