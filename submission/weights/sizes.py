"""Sizes that weights.lock has no place for: parameters, and downloads as third parties saw them.

Used to say in advance how large something is, never to check anything.
"""

from submission.weights.lock import LockedCheckpoint

# Numbers of parameters of the released checkpoints, as third parties counted them.
PARAMETERS = {
    "Sa2VA-1B": 1_163_665_714,
    "Sa2VA-4B": 3_941_809_714,
    "Sa2VA-8B": 8_317_666_866,
    "Sa2VA-26B": 25_778_005_938,
}
# Sa2VA-i is the Sa2VA it came from and a second mask decoder: 131 tensors.
SECOND_DECODER = 4_215_109

# Bytes of a download, rounded; only where the lock cannot sum them up yet.
SEEN_BYTES = {
    "Sa2VA-1B": 3_500_000_000,
    "Sa2VA-4B": 15_160_000_000,
    "Sa2VA-8B": 32_660_000_000,
    "Sa2VA-26B": 92_040_000_000,
}

BYTES_PER_PARAMETER = 2  # bfloat16, the precision on a GPU
# Beside the weights: activations, SAM 2's features of a video's frames, the memory of the objects
# that are tracked side by side, the language model's cache. Assumed, not measured.
ALLOWANCE = 6_000_000_000


def parameters(name: str) -> int | None:
    """Return the number of parameters of a released checkpoint, None where it was not seen."""
    if name in PARAMETERS:
        return PARAMETERS[name]
    original = PARAMETERS.get(name.replace("Sa2VA-i-", "Sa2VA-"))
    return original + SECOND_DECODER if original else None


def memory(name: str) -> int | None:
    """Estimate the bytes of GPU memory to run a checkpoint: weights plus a stated allowance."""
    count = parameters(name)
    return None if count is None else count * BYTES_PER_PARAMETER + ALLOWANCE


def download(checkpoint: LockedCheckpoint) -> tuple[int | None, bool]:
    """Return the bytes of a download and whether they are exact; None where nobody saw them."""
    if checkpoint.files and all(file.is_pinned for file in checkpoint.files):
        return checkpoint.bytes, True
    return SEEN_BYTES.get(checkpoint.name), False


def in_words(count: float) -> str:
    """Return a number of bytes as people say it, in powers of ten."""
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.2f} GB" if count < 10 else f"{count:.1f} GB"
