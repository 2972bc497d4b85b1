"""The submission zip: the same masks give the same bytes, on any day and any machine.

Only files that the split names go in, in the order of the split, with one date and one mode.
"""

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from submission.dataset.records import Split
from submission.errors import Fault, FaultyInput
from submission.files.whole import open_whole
from submission.output.layout import TEAM_FILE, file_names, missing_faults
from submission.output.mask_files import MaskFolder
from submission.output.team import team_faults

LARGE_ZIP = 500_000_000  # bytes; uploads above this are known to fail or to take very long
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest date of the format
_UNIX = 3  # made on; says how the attributes are meant
_MODE = 0o100644 << 16  # an ordinary file that everybody may read


def write_zip(
    folder: Path,
    split: Split,
    path: Path,
    team: Mapping[str, Any] | None = None,
    on_file: Callable[[int], None] | None = None,
) -> int:
    """Write the PNGs below `folder` to the zip `path`; return its size in bytes.

    Video folders are at the first level, team.json beside them when `team` is given. Nothing
    is compressed: PNGs are already, and a second pass gains 4 % and ties the bytes to zlib.
    `on_file(1)` is called after each file. Raises FaultyInput when a PNG is missing or the team
    record is incomplete; `path` then stays as it was.
    """
    faults = missing_faults(set(MaskFolder(folder, links=True).names()), split)
    if team is not None:
        faults += [Fault(TEAM_FILE, what) for what in team_faults(team)]
    if faults:
        raise FaultyInput(
            f"{folder}: cannot be packed:",
            faults,
            "Write the masks again with vote; team.json is filled in by the recipe's [team].",
        )
    with open_whole(path) as file, zipfile.ZipFile(file, "w") as archive:
        if team is not None:
            text = json.dumps(team, indent=1, ensure_ascii=False)
            _add(archive, TEAM_FILE, f"{text}\n".encode())
        for name in file_names(split):
            _add(archive, name, (folder / name).read_bytes())
            if on_file is not None:
                on_file(1)
    return path.stat().st_size


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.create_system = _UNIX
    entry.external_attr = _MODE
    entry.compress_type = zipfile.ZIP_STORED
    archive.writestr(entry, content)
