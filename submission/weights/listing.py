"""Say of each checkpoint in the lock how large it is, how much is pinned, and what is there."""

from submission.terminal.tables import Draw, in_columns
from submission.weights.expected import download, weight_bytes
from submission.weights.folders import Weights
from submission.weights.hashes import recall
from submission.weights.lock import LockedCheckpoint
from submission.weights.sizes import in_words
from submission.weights.to_come import in_all, left_to_download, room, why_to_come

HEADINGS = (
    "name", "license", "download", "bytes of weights", "pinned", "present", "disk needed"
)  # fmt: skip
# The one that a narrow terminal leaves out first in front.
LEAST = ("bytes of weights", "license", "disk needed", "pinned")
NOT_SEEN = "not seen"


def table(weights: Weights, draw: Draw = in_columns) -> list[str]:
    """Return `weights list` in lines; reads no file's content.

    `draw` makes lines of the table's rows, the headings first.
    """
    rows = [HEADINGS, *(_row(item, weights) for item in weights.lock.checkpoints)]
    return [*draw(rows), "", *_to_come(weights), f"lock     {weights.lock.path}"]


def _to_come(weights: Weights) -> list[str]:
    """What of all checkpoints is still to come, and the room where they go."""
    absent = [item for item in weights.lock.checkpoints if why_to_come(item, weights)]
    sizes = [left_to_download(item, weights) for item in absent]
    loose = sum(not item.is_pinned for item in absent)
    folder = f"folder   {room(weights.folder, sum(size.bytes or 0 for size in sizes))}"
    if not absent:
        return [folder]
    return [f"to come  {len(absent)} of {len(weights.lock.checkpoints)} not fetched, {loose} of "
            f"them not locked: {in_all(sizes)}", folder]  # fmt: skip


def _row(checkpoint: LockedCheckpoint, weights: Weights) -> tuple[str, ...]:
    size, is_exact = download(checkpoint)
    weights_alone = weight_bytes(checkpoint)
    about = "" if is_exact else "about "
    needed = left_to_download(checkpoint, weights).bytes
    return (
        checkpoint.name,
        checkpoint.license or NOT_SEEN,
        "unknown" if size is None else about + in_words(size),
        "unknown" if weights_alone is None else f"{weights_alone:,}",
        _pinned(checkpoint),
        _present(checkpoint, weights) + (" (cached)" if weights.is_cached(checkpoint) else ""),
        "unknown" if needed is None else "none" if needed == 0 else about + in_words(needed),
    )


def _pinned(checkpoint: LockedCheckpoint) -> str:
    if checkpoint.is_pinned:
        return "yes"
    words = ["revision"] if checkpoint.revision else []
    for count, word in (
        (sum(bool(file.digest) for file in checkpoint.files), "hashes"),
        (sum(bool(file.bytes) for file in checkpoint.files), "sizes"),
    ):
        if count:
            words.append(f"{count} of {len(checkpoint.files)} {word}")
    return ", ".join(words) or "nothing"


def _present(checkpoint: LockedCheckpoint, weights: Weights) -> str:
    """In words; "verified" only when the hash of every file in its present state is known."""
    folder = weights.place(checkpoint)
    files = [file for file in checkpoint.files if (folder / file.path).is_file()]
    if not files:
        return "no"
    if len(files) < len(checkpoint.files) or not checkpoint.is_pinned:
        return f"{len(files)} of {len(checkpoint.files)} files"
    remembered = [recall(folder / file.path, file.algorithm) for file in files]
    if any(
        (file.bytes and (folder / file.path).stat().st_size != file.bytes)
        or (known and known != file.digest)
        for file, known in zip(files, remembered, strict=True)
    ):
        return "differs from the lock"
    return "verified" if all(remembered) else "not verified"
