"""Pickled weights, kept as safetensors once they were read: later runs open no pickle."""

from contextlib import suppress
from pathlib import Path

from submission.files.user_cache import cache_folder
from submission.files.whole import write_bytes
from submission.weights.hashes import hash_files

FOLDER = "converted"  # in the kit's cache


def as_safetensors(file: Path) -> Path:
    """Return a copy of a .pth file as safetensors, named by the SHA-256 of what it was read from.

    Made at the first call; the file itself is returned where the cache cannot be written, and for
    a file that is no .pth. Raises InputError for a .pth that cannot be read, as read_weights.
    """
    if file.suffix != ".pth":
        return file
    copy = cache_folder() / FOLDER / f"{hash_files([file])[file.name]}.safetensors"
    if not copy.is_file():
        with suppress(OSError):  # a read-only home (a container): the pickle is read each time
            _convert(file, copy)
    return copy if copy.is_file() else file


def _convert(file: Path, copy: Path) -> None:
    from safetensors.torch import save

    from submission.models.pth_file import read_weights

    # Tensors may share memory in a pickle, which safetensors does not know.
    tensors = {name: value.clone().contiguous() for name, value in read_weights(file).items()}
    write_bytes(copy, save(tensors))
