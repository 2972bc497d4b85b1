"""JSON objects with a checksum of their file as last member, so that a flipped bit is not believed.

A file without one, from an earlier version of the kit or written by hand, is taken as it is.
"""

import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from submission.errors import InputError
from submission.files.ordinary import read_ordinary
from submission.files.strict_json import kind_of, parse_json
from submission.files.whole import write_bytes

SEAL = "crc32"  # of all bytes, with zeros in the place of its own eight digits
_NONE = "0" * 8
# The last member: of a damaged seal the name may be spoilt as well.
_PLACE = re.compile(rf'"([^"]{{{len(SEAL)}}})": "([^"]{{8}})"}}\s*\Z'.encode())


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` on one line, sealed, whole and on disk when this returns."""
    text = f"{json.dumps({**value, SEAL: _NONE}, ensure_ascii=False)}\n"
    content = text.encode(errors="backslashreplace")
    write_bytes(path, _sealed(content, zlib.crc32(content)))


def read_sealed(path: Path) -> dict[str, Any]:
    """Return the object in `path`, without its seal.

    Raises InputError, naming the file, for what is no JSON object and where the seal is broken.
    """
    try:
        content = read_ordinary(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    value = parse_json(content, str(path))
    if not isinstance(value, dict):
        raise InputError(f"{path}: it holds {kind_of(value)}; it must be a JSON object")
    found = _PLACE.search(content)
    seal = value.pop(SEAL, None)
    if (seal is not None or found) and seal != _seal_of(content, found):
        raise InputError(f"{path}: its {SEAL} is not that of its content")
    return value


def _seal_of(content: bytes, found: re.Match[bytes] | None) -> str | bool:
    """The seal that a file must have; False, which none is, where the place of it is spoilt."""
    if found is None:
        return False
    blank = content[: found.start(2)] + _NONE.encode() + content[found.end(2) :]
    return f"{zlib.crc32(blank):08x}"


def _sealed(content: bytes, checksum: int) -> bytes:
    end = len(content) - len('"}\n')
    return content[: end - len(_NONE)] + f"{checksum:08x}".encode() + content[end:]
