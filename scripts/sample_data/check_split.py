"""Compare a split on disk with what the generator makes today."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.sample_data.write_split import SplitPlan, draw_plan, split_files

LEVELS = 6  # of 255: how far decoded pixels may differ between versions of libjpeg


def differences(folder: Path, plan: SplitPlan) -> list[str]:
    """Return one line for every file that is missing, extra or different.

    JSON is compared byte by byte. JPEG files are compared as decoded pictures, within `LEVELS`
    for every value, because their bytes depend on the libjpeg inside Pillow.
    """
    expected = dict(split_files(draw_plan(plan)))
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    faults = [f"{name}: missing" for name in expected if name not in present]
    faults += [f"{name}: not made by the generator" for name in sorted(present - set(expected))]
    for name in sorted(present & set(expected)):
        if not _same(name, (folder / name).read_bytes(), expected[name]):
            faults.append(f"{name}: differs from what the generator makes")
    return faults


def _same(name: str, found: bytes, expected: bytes) -> bool:
    if found == expected:
        return True
    if not name.endswith(".jpg"):
        return False
    ours, theirs = _decode(expected), _decode(found)
    return ours.shape == theirs.shape and bool((np.abs(ours - theirs) <= LEVELS).all())


def _decode(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.int16)
