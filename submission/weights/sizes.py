"""Sizes that weights.lock has no place for: downloads as third parties saw them.

Used to say in advance how large something is, never to check anything.
"""

from submission.weights.lock import LockedCheckpoint

# Bytes of a download, rounded; only where the lock cannot sum them up yet.
SEEN_BYTES = {
    "Sa2VA-1B": 3_500_000_000,
    "Sa2VA-4B": 15_160_000_000,
    "Sa2VA-8B": 32_660_000_000,
    "Sa2VA-26B": 92_040_000_000,
}


def download(checkpoint: LockedCheckpoint) -> tuple[int | None, bool]:
    """Return the bytes of a download and whether they are exact; None where nobody saw them."""
    if checkpoint.files and all(file.sha256 and file.is_pinned for file in checkpoint.files):
        return checkpoint.bytes, True
    return SEEN_BYTES.get(checkpoint.name), False


def in_words(count: float) -> str:
    """Return a number of bytes as people say it, in powers of ten."""
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.2f} GB" if count < 10 else f"{count:.1f} GB"
