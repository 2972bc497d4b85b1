"""Read a result as the judge would and list everything that is wrong with it.

Strict: what the judge forgives silently, or answers by leaving a sentence out of the mean, is a
fault here. Every PNG is decoded to its end.
"""

import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from submission.counted import counted
from submission.dataset.images import (
    BrokenImage,
    decode_image,
    most_bytes,
    open_image,
    size_fault,
)
from submission.dataset.records import Expression, Split, Video
from submission.errors import Fault, InputError, list_faults
from submission.output.layout import JUNK_PATTERNS, TEAM_FILE, Listing, file_name, sort_out
from submission.output.mask_files import (
    READERS,
    MaskArchive,
    MaskFiles,
    UnreadableFile,
    open_submission,
)
from submission.output.name_faults import as_one, name_faults
from submission.output.png_files import read_packed_rows
from submission.output.team import team_file_faults

_MODES = {
    "P": "palette colours",
    "RGB": "colours",
    "RGBA": "colours with alpha",
    "LA": "grey with alpha",
    "I": "16-bit grey",
    "I;16": "16-bit grey",
}


@dataclass(frozen=True)
class Verdict:
    """What a check found: `counts` says what was looked at, `faults` what is wrong."""

    path: Path
    split: str
    faults: tuple[Fault, ...]
    counts: dict[str, int]

    @property
    def ok(self) -> bool:
        """Whether the judge would read every mask as it was meant."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as check.json keeps it."""
        faults = [{"where": fault.where, "what": fault.what} for fault in self.faults]
        return {
            "ok": self.ok,
            "path": str(self.path),
            "split": self.split,
            "counts": self.counts,
            "faults": faults,
        }

    def summary(self) -> str:
        """Return the verdict as text: one line when it is good, else the first faults too."""
        looked = (
            f"{counted(self.counts['videos'], 'video')}, "
            f"{counted(self.counts['sentences'], 'sentence')}, "
            f"{self.counts['files']:,} of {counted(self.counts['expected_files'], 'mask')}"
        )
        if self.ok:
            empty = self.counts["empty_masks"]
            return f"{self.path}: no faults ({looked}; {counted(empty, 'mask')} without foreground)"
        number = len(self.faults)
        return list_faults(f"{self.path}: {counted(number, 'fault')} ({looked}):", self.faults)


def check(
    path: str | Path,
    split: Split,
    *,
    require_team: bool = False,
    on_file: Callable[[int], None] | None = None,
) -> Verdict:
    """Compare a submission, zip or folder, with the split it answers.

    A team.json that is there must be right; with `require_team` it must be there.
    `on_file(n)` is called whenever n more masks were read. Raises InputError when there is
    nothing at `path`; anything else that is wrong is a fault of the verdict.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; pass a submission zip or its folder")
    counts = {
        "videos": len(split.videos),
        "sentences": split.num_sentences,
        "expected_files": split.num_masks,
        "files": 0,
        "empty_masks": 0,
    }
    try:
        files = open_submission(path)
    except InputError as error:
        fault = Fault(path.name, str(error).removeprefix(f"{path}: "))
        return Verdict(path, split.name, (fault,), counts)
    with files:
        listing = sort_out(files.names(), split)
        faults = [*_wrapper_faults(path, listing), *listing.harmful, *_junk_faults(path, listing)]
        faults += name_faults(listing.members.keys(), split)
        locked = files.encrypted() if isinstance(files, MaskArchive) else []
        if locked:
            what = f"{len(locked)} files need a password, which the judge does not have"
            faults.append(Fault(path.name, what))
        else:
            faults += _team_faults(files, listing, require_team)
            faults += _mask_faults(files, listing, split, counts, on_file)
    return Verdict(path, split.name, tuple(faults), counts)


def mask_fault(content: bytes, size: tuple[int, int]) -> tuple[str | None, bool]:
    """Say why a file is not a mask of (height, width) the judge reads well, and if it is empty.

    Only PNGs with one channel are: 1-bit, or 8-bit with 0 and 255. In a palette the judge
    counts the luminance of the colour, so that a dark object may vanish.
    """
    if (plain := read_packed_rows(content)) is not None:
        rows, found = plain
        if reason := size_fault(found, size):
            return reason, False
        return None, not _without_padding(rows, found[1]).any()
    try:
        if reason := _header_fault(open_image(content)):
            return reason, False
        image = decode_image(content, size)
    except BrokenImage as error:
        return str(error), False
    return _value_fault(image), image.getbbox() is None


def _header_fault(image: Image.Image) -> str | None:
    if image.format != "PNG":
        return f"a {image.format} image, not a PNG"
    if image.mode not in ("1", "L"):
        kind = _MODES.get(image.mode, f"mode {image.mode}")
        return f"a PNG with {kind}; write one channel, 1-bit or 8-bit with 0 and 255"
    return None


def _without_padding(rows: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Packed rows with the bits that fill the last byte of each set to 0; no reader sees them."""
    if width % 8 == 0:
        return rows
    last = rows[:, -1:] & np.uint8(0xFF << (-width % 8) & 0xFF)
    return np.concatenate([rows[:, :-1], last], axis=1)


def _value_fault(image: Image.Image) -> str | None:
    if image.mode == "1":
        return None
    pixels = np.asarray(image)
    if not (pixels + np.uint8(1) > 1).any():  # 255 wraps around to 0
        return None
    return "grey values other than 0 and 255, all of which the judge counts as foreground"


def _wrapper_faults(path: Path, listing: Listing) -> list[Fault]:
    if listing.wrapper is None:
        return []
    what = "a folder around all videos; the judge looks for the videos at the first level"
    if path.is_dir():
        advice = f"use {path / listing.wrapper}"
    else:
        advice = f"zip from inside: cd {listing.wrapper} && zip -r submission.zip *"
    return [Fault(f"{listing.wrapper}/", f"{what}; {advice}")]


def _junk_faults(path: Path, listing: Listing) -> list[Fault]:
    if path.is_dir():
        return list(listing.junk)
    command = shlex.join(["zip", "-d", str(path), *JUNK_PATTERNS])
    return [Fault(fault.where, f"{fault.what}: {command}") for fault in listing.junk]


def _team_faults(files: MaskFiles, listing: Listing, required: bool) -> list[Fault]:
    if TEAM_FILE not in listing.members:
        what = "it is missing, and this challenge asks for it; add [team] to the recipe"
        return [Fault(TEAM_FILE, what)] if required else []
    try:
        reasons = team_file_faults(files.read(listing.members[TEAM_FILE]))
    except UnreadableFile as error:
        reasons = [str(error)]
    return [Fault(TEAM_FILE, reason) for reason in reasons]


def _mask_faults(
    files: MaskFiles,
    listing: Listing,
    split: Split,
    counts: dict[str, int],
    on_file: Callable[[int], None] | None,
) -> list[Fault]:
    """Decode every mask that is there, several sentences at once; keep the order of the split."""
    faults: list[Fault] = []
    with ThreadPoolExecutor(READERS) as pool:
        looks = pool.map(lambda task: _look_at_sentence(files, listing, *task), split.sentences())
        for found, read, empty in looks:
            faults += found
            counts["files"] += read
            counts["empty_masks"] += empty
            if on_file is not None:
                on_file(read)
    return faults


def _look_at_sentence(
    files: MaskFiles, listing: Listing, video: Video, expression: Expression
) -> tuple[list[Fault], int, int]:
    """Return the faults of one sentence's masks, how many were there, and how many are empty."""
    faults: list[Fault] = []
    read = empty = 0
    for frame in video.frame_names:
        name = file_name(video.name, expression.id, frame)
        if name not in listing.members:
            continue
        read += 1
        try:
            content = files.read(listing.members[name], most_bytes(video.size))
            reason, blank = mask_fault(content, video.size)
        except UnreadableFile as error:
            reason, blank = str(error), False
        empty += blank
        if reason is not None:
            faults.append(Fault(name, reason))
    folder = f"{video.name}/{expression.id}"
    return as_one(faults, folder, len(video.frame_names)), read, empty
