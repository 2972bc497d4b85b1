"""Which of somebody else's masks answer a split, and what is wrong with them; no pixel is decoded.

The rules and words are those of the check, except for what harms nobody here: masks of other
videos, what a desktop has left, and a folder around everything, which is looked through.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from submission.dataset.images import BrokenImage, most_bytes, open_image, size_fault
from submission.dataset.records import Expression, Split, Video
from submission.errors import Fault
from submission.output.layout import file_name, missing_faults, sort_out
from submission.output.mask_files import READERS, MaskArchive, MaskFolder, UnreadableFile
from submission.output.name_faults import as_one, nearly_right, other_split_fault
from submission.output.png_files import PNG_HEAD, png_size


@dataclass(frozen=True)
class GivenMasks:
    """The masks that answer a split: plain name -> name as stored; and everything wrong."""

    members: Mapping[str, str]
    faults: tuple[Fault, ...]


def look_at_masks(
    files: MaskFolder | MaskArchive, split: Split, *, may_lack: bool = False
) -> GivenMasks:
    """Compare names, completeness and sizes with the split.

    With `may_lack` expressions without any mask are no fault, as long as some have theirs.
    """
    listing = sort_out(files.names(), split)
    near, renamed = nearly_right(listing.members.keys(), split)
    settled = {renamed.get(name, name) for name in listing.members}
    other = other_split_fault(sorted(settled), split)
    missing = [other] if other else missing_faults(settled, split)
    wanted = {
        file_name(video.name, expression.id, frame): video.size
        for video, expression in split.sentences()
        for frame in video.frame_names
    }
    if may_lack and not wanted.keys().isdisjoint(settled):
        missing = [fault for fault in missing if fault.where in wanted]  # frames of an expression
    members = {name: stored for name, stored in listing.members.items() if name in wanted}
    return GivenMasks(members, (*listing.harmful, *near, *missing))


def members_by_name(names: Iterable[str]) -> dict[str, str]:
    """Return plain name -> name as stored of every PNG, whatever folders lie around its video.

    For masks that a split was compared with, without faults: then no two names mean the same mask.
    """
    members: dict[str, str] = {}
    for name in names:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        plain = "/".join(parts[-3:])
        if len(parts) == 3 or plain not in members:  # without a folder around it first
            members[plain] = name
    return members


def size_faults(
    files: MaskFolder | MaskArchive, split: Split, members: Mapping[str, str]
) -> list[Fault]:
    """Return a fault for each file that has no image's header, or another size than its video."""
    with ThreadPoolExecutor(READERS) as pool:
        looks = pool.map(lambda task: _sizes_of(files, members, *task), split.sentences())
        return [fault for faults in looks for fault in faults]


def _sizes_of(
    files: MaskFolder | MaskArchive,
    members: Mapping[str, str],
    video: Video,
    expression: Expression,
) -> list[Fault]:
    faults = []
    for frame in video.frame_names:
        name = file_name(video.name, expression.id, frame)
        if name not in members:
            continue
        try:
            found = png_size(files.head(members[name], PNG_HEAD))
            if found is None:  # an image of another kind is read all the same
                image = open_image(files.read(members[name], most_bytes(video.size)))
                found = image.height, image.width
        except (UnreadableFile, BrokenImage) as error:
            faults.append(Fault(name, str(error)))
            continue
        if reason := size_fault(found, video.size):
            faults.append(Fault(name, reason))
    return as_one(faults, f"{video.name}/{expression.id}", len(video.frame_names))
