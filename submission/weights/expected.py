"""What released files should be by arithmetic: tells sizes in advance, and holds the Hub to it.

The table is expected.lock. It never decides what is opened: only weights.lock does.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

from submission.weights.lock import EMPTY_SHA256, LockedCheckpoint, LockedFile
from submission.weights.lock_file import read_lock

# Bytes of data of checkpoints whose files nobody has listed, from published numbers of parameters
# (docs/weights.md); only said with "about".
ABOUT_BYTES = {
    "Sa2VA-Qwen2_5-VL-3B": 17_175_000_000,
    "Sa2VA-Qwen2_5-VL-7B": 34_110_000_000,
    "Sa2VA-Qwen3-VL-2B": 10_667_000_000,
    "Sa2VA-Qwen3-VL-4B": 20_228_000_000,
    "Sa2VA-i-1B": 4_064_000_000,
    "Sa2VA-i-4B": 15_176_000_000,
    "Sa2VA-i-8B": 32_680_000_000,
    "Sa2VA-i-26B": 92_056_000_000,
    "SaSaSa2VA-26B": 92_039_000_000,
    "Qwen3-VL-2B": 4_255_000_000,
    "Qwen3-VL-4B": 8_876_000_000,
    "Qwen3-VL-8B": 17_534_000_000,
    "Qwen2_5-VL-3B": 7_509_000_000,
    "Qwen2_5-VL-7B": 16_584_000_000,
}
WEIGHTS = (".safetensors", ".pt", ".pth")


def expected_files(checkpoint: LockedCheckpoint) -> tuple[LockedFile, ...]:
    """Return the files as the lock knows them, with sizes that are derived where it knows none."""
    derived = {file.path: file for file in _table().get(checkpoint.name, ())}
    listed = {file.path: file for file in checkpoint.files} or derived
    return tuple(
        replace(file, bytes=file.bytes or derived.get(path, file).bytes)
        for path, file in sorted(listed.items())
    )


def weight_bytes(checkpoint: LockedCheckpoint) -> int | None:
    """Return the bytes of all weight files, to the byte; None where one of them is not known."""
    sizes = [file.bytes for file in expected_files(checkpoint) if file.path.endswith(WEIGHTS)]
    return sum(sizes) if sizes and all(sizes) else None


def download(checkpoint: LockedCheckpoint) -> tuple[int | None, bool]:
    """Return the bytes of a download and whether they are exact; None where nobody knows them.

    Not exact are the sums of which a small file is not known, and sums of parameters.
    """
    files = expected_files(checkpoint)
    known = sum(file.bytes for file in files)
    if files and all(file.bytes or file.sha256 == EMPTY_SHA256 for file in files):
        return known, True
    if weight_bytes(checkpoint) is not None:
        return known, False
    return ABOUT_BYTES.get(checkpoint.name), False


def compare(checkpoint: LockedCheckpoint) -> list[str]:
    """Say of each file whose size or hash is derived whether the lock's value is as expected."""
    found = {file.path: file for file in checkpoint.files}
    lines = []
    for expected in _table().get(checkpoint.name, ()):
        file = found.get(expected.path)
        if file is None:
            lines.append(f"{expected.path}: expected, and not there")
        elif file.bytes != expected.bytes:
            lines.append(f"{file.path}: {file.bytes} bytes, expected were {expected.bytes}")
        elif expected.sha256 and file.sha256 != expected.sha256:
            lines.append(f"{file.path}: sha256 {file.sha256}, expected was {expected.sha256}")
        else:
            lines.append(f"{file.path}: as expected")
    return lines


@cache
def _table() -> dict[str, tuple[LockedFile, ...]]:
    lock = read_lock(Path(__file__).with_name("expected.lock"))
    return {item.name: item.files for item in lock.checkpoints}
