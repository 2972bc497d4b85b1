"""A checkpoint that is one file of tensors: which file a path means; free of torch."""

from pathlib import Path

from submission.errors import InputError

SUFFIXES = (".pth", ".safetensors")
SAM2_FILE = "sam2_hiera_large.pt"  # as Meta released it


def files_of_weights(path: Path) -> list[Path]:
    """The file itself, or all such files of a folder; none for a path of another kind."""
    there = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in there if file.suffix in SUFFIXES and file.is_file()]


def weights_file(path: Path, family: str) -> Path:
    """Return the one file of weights that `path` is or, as a folder, holds.

    Raises InputError, naming the family, where there is none or more than one.
    """
    if len(found := files_of_weights(path)) == 1:
        return found[0]
    names = ", ".join(file.name for file in found) or "none"
    raise InputError(f"{path}: one file of {family}'s weights is needed, and there is {names}")


def sam2_file(path: Path) -> Path:
    """Return the file of SAM 2's original weights, which `path` is or, as a folder, holds.

    Raises InputError where it is not there.
    """
    file = path / SAM2_FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{file}: no such file; SAM 2.0 large as Meta released it is needed")
    return file
