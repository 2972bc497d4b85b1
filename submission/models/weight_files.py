"""The safetensors files of a checkpoint folder; what lies there instead is recognised and said."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from submission.errors import Fault, FaultyInput, InputError, join_errors
from submission.files.mistaken import LOOKED_AT, mistaken_for
from submission.files.strict_json import read_json

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth")
LARGEST_INDEX = 1 << 26  # bytes; that of 26B has 200 kB
Shapes = Mapping[str, tuple[int, ...]]  # of the tensors of a file, by name


def shard_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint folder, single or sharded; all must be there.

    Raises InputError, or FaultyInput with every shard that is missing, and says what is there
    instead: a link to nothing, a cache of the Hub, pickles.
    """
    if (folder / INDEX_FILE).is_file():
        files = [folder / name for name in _shards_in(folder / INDEX_FILE)]
        missing = [Fault(file.name, _absence(file)) for file in files if not file.is_file()]
        if missing:
            raise FaultyInput(f"{folder} is not complete:", missing, "Fetch what is missing.")
        return files
    if (folder / SINGLE_FILE).is_file():
        return [folder / SINGLE_FILE]
    raise InputError(f"{folder}: {_instead(folder)}")


def read_headers(files: Iterable[Path]) -> dict[Path, Shapes]:
    """Names and shapes in each file; raises InputError, or FaultyInput with all that are none."""
    headers: dict[Path, Shapes] = {}
    errors: list[InputError] = []
    for file in files:
        try:
            headers[file] = read_shapes(file)
        except InputError as error:
            errors.append(error)
    if errors:
        raise join_errors(errors, "These files of weights cannot be read:")
    return headers


def read_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes in one safetensors file, from its header alone."""
    with open_tensors(file, torch.device("cpu")) as tensors:
        return {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118


def open_tensors(file: Path, device: torch.device) -> Any:
    """Open a safetensors file for reading onto `device`; raise InputError when it is none."""
    try:
        return safe_open(file, framework="pt", device=str(device))
    except (SafetensorError, OSError) as error:
        reason = _mistaken(file) or f"{error}; fetch it again"
        raise InputError(f"{file}: not a whole safetensors file: {reason}") from None


def _shards_in(index: Path) -> list[str]:
    content = read_json(index, most=LARGEST_INDEX)
    table = content.get("weight_map") if isinstance(content, dict) else None
    named = list(table.values()) if isinstance(table, dict) else []
    if not named or not all(isinstance(name, str) for name in named):
        raise InputError(f"{index}: not a safetensors index (weight_map names no files)")
    names = sorted(set(named))
    outside = [Fault(str(index), f"{name!r} is no plain file name") for name in names
               if Path(name).name != name]  # fmt: skip
    if outside:
        raise FaultyInput("The index names files outside the checkpoint:", outside)
    return names


def _absence(file: Path) -> str:
    if file.is_symlink():
        return f"it is a link to {file.readlink()}, which is not there"
    return "is missing"


def _instead(folder: Path) -> str:
    """What a folder holds that has no safetensors files under their names."""
    for name in (SINGLE_FILE, INDEX_FILE):
        if (folder / name).is_symlink():
            return (
                f"{name} is a link to {(folder / name).readlink()}, which is not there: copy the "
                "files and not the links (cp -rL), or fetch the checkpoint again"
            )
    snapshots = sorted(path for path in folder.glob("snapshots/*") if path.is_dir())
    if snapshots:
        below = ", ".join(str(path) for path in snapshots)
        return f"this is a cache of the Hub; the checkpoint is the folder below it: {below}"
    words = f"there is neither {SINGLE_FILE} nor {INDEX_FILE}; only safetensors are read"
    if pickles := _names(folder, PICKLES):
        return f"{words}, and {pickles} could run code; convert it, or take the released files"
    if shards := _names(folder, ["*.safetensors"]):
        return f"{words}, and the names of {shards} are not theirs: fetch {INDEX_FILE}"
    if inner := sorted(path.parent.name for path in folder.glob("*/config.json")):
        return f"{words}. One level deeper is a checkpoint: {folder / inner[0]}"
    return words


def _names(folder: Path, patterns: Iterable[str]) -> str:
    found = sorted(path.name for pattern in patterns for path in folder.glob(pattern))
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if found[3:] else "")


def _mistaken(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            return mistaken_for(stream.read(LOOKED_AT))
    except OSError:
        return None
