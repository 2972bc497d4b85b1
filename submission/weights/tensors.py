"""Parts of a checkpoint compared by content: the hash of some tensors, whatever files hold them.

Reads the headers and bytes of safetensors files, and needs no torch.
"""

import hashlib
import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from submission.errors import InputError
from submission.files.ordinary import open_ordinary
from submission.files.user_cache import cache_folder, keep, read_memory
from submission.weights.hashes import BLOCK, state

IMAGE_ENCODER = "grounding_encoder.sam2_model.image_encoder."  # how its tensors' names begin
_LONGEST_HEADER = 100_000_000  # bytes; the format's own limit


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor's bytes lie in a file."""

    file: Path
    dtype: str  # as the format names it: "BF16", "F32"
    shape: tuple[int, ...]
    start: int  # bytes from the beginning of the file
    stop: int


def read_header(file: Path) -> dict[str, StoredTensor]:
    """Return the tensors of a safetensors file by name; raise InputError when it is none."""
    try:
        with open_ordinary(file) as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > _LONGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(stream.read(length))
        return {
            name: StoredTensor(
                file, entry["dtype"], tuple(entry["shape"]),
                *(8 + length + offset for offset in entry["data_offsets"]),
            )
            for name, entry in header.items() if name != "__metadata__"
        }  # fmt: skip
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file}: not a whole safetensors file ({error}); fetch it again"
        ) from None


def loaded_bytes(folder: Path, value_bytes: int, narrow: str | None = None) -> int:
    """Return what the tensors of a checkpoint folder take as numbers of `value_bytes` bytes.

    Matrices whose names begin with `narrow` take a byte for each number.
    """
    total = 0
    for file in folder.glob("*.safetensors"):
        for name, one in read_header(file).items():
            is_narrow = narrow and name.startswith(narrow) and len(one.shape) == 2
            total += math.prod(one.shape) * (1 if is_narrow else value_bytes)
    return total


def hash_tensors(folder: Path, beginning: str, *, again: bool = False) -> str:
    """Return the SHA-256 of the tensors of a checkpoint folder whose names begin so.

    It is over name, type, shape and bytes of each, in the order of the names, and remembered with
    the state of the files; `again` trusts no memory. Returns an empty text when there are none.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return ""
    key, states = f"{folder.resolve()} {beginning}", [state(file) for file in files]
    known = None if again else read_memory(_memory()).get(key)
    if isinstance(known, list) and known[:-1] == states:
        return str(known[-1])
    digest = _hash(files, beginning)
    keep(_memory(), {key: [*states, digest]})
    return digest


def _memory() -> Path:
    return cache_folder() / "tensors.json"


def _hash(files: Sequence[Path], beginning: str) -> str:
    tensors = {
        name: tensor
        for file in files
        for name, tensor in read_header(file).items()
        if name.startswith(beginning)
    }
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        shape = " ".join(map(str, tensor.shape))
        digest.update(f"{name} {tensor.dtype} {shape}\n".encode())
        with open_ordinary(tensor.file) as stream:
            stream.seek(tensor.start)
            left = tensor.stop - tensor.start
            while left > 0 and (block := stream.read(min(left, BLOCK))):
                digest.update(block)
                left -= len(block)
        if left:
            raise InputError(f"{tensor.file}: it ends within {name}; fetch it again")
    return digest.hexdigest() if tensors else ""
