"""Open a sentencepiece model, also one with a piece that newer versions of the library refuse.

InternLM2's tokenizer.model, as Sa2VA-8B and 26B ship it, has a piece that is one null character
(id 354). sentencepiece takes it up to 0.2.1 and refuses the whole model from 0.2.2 on. So the
library is handed a copy in memory in which this piece has another text; ids stay what they are.

A model is a protobuf message: field 1, repeated, is a piece, and field 1 of a piece is its text
(sentencepiece_model.proto of the library).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from submission.errors import InputError
from submission.files.mistaken import mistaken_for
from submission.files.ordinary import read_ordinary

NULL = "\0"
# Three code points that Unicode keeps out of all texts. No two of them are a piece, so that no
# merge leads to it: not even a text that holds them becomes this piece.
STAND_IN = "\ufdd0\ufdd1\ufdd2"
MOST_BYTES = 1 << 28  # the largest released one has 5 MB
_PIECE, _TEXT = 1, 1  # numbers of fields
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # kinds of fields


def open_pieces(path: Path) -> tuple[Any, int | None]:
    """Return the library's processor of a model file, and the id of its null piece, if it has one.

    Raises InputError with the cause when it cannot be read.
    """
    from sentencepiece import SentencePieceProcessor

    try:
        content = read_ordinary(path, MOST_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    if reason := mistaken_for(content):
        raise InputError(f"{path}: {reason}")
    try:
        renamed, null_id = without_null(content)
        return SentencePieceProcessor(model_proto=renamed), null_id
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        cause = " ".join(str(error).split())
        raise InputError(
            f"{path}: the sentencepiece library does not read it: {cause}. A file that differs "
            "from the released one has to be fetched again"
        ) from None


def without_null(content: bytes) -> tuple[bytes, int | None]:
    """Return a model without a null piece, and the id of the one that was there.

    Everything else stays as it is, byte for byte. Raises ValueError for what is no message.
    """
    parts: list[bytes] = []
    null_id, pieces = None, 0
    for number, kind, field, value in _fields(content):
        if number == _PIECE and kind == _BYTES:
            if _text_of(value) == NULL.encode():
                null_id, field = pieces, _field(_PIECE, _renamed(value))
            pieces += 1
        parts.append(field)
    if not pieces:
        raise ValueError("it holds no pieces")
    return b"".join(parts), null_id


def _text_of(piece: bytes) -> bytes:
    texts = [value for number, kind, _, value in _fields(piece) if (number, kind) == (1, _BYTES)]
    return texts[-1] if texts else b""


def _renamed(piece: bytes) -> bytes:
    return b"".join(
        _field(_TEXT, STAND_IN.encode()) if (number, kind) == (_TEXT, _BYTES) else field
        for number, kind, field, _ in _fields(piece)
    )


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Number, kind, all bytes and value of each field; the value is empty for numbers."""
    position = 0
    while position < len(message):
        start = position
        tag, position = _read_varint(message, position)
        kind, value = tag & 7, b""
        if kind == _VARINT:
            _, position = _read_varint(message, position)
        elif kind == _BYTES:
            length, position = _read_varint(message, position)
            value = message[position : position + length]
            position += length
        elif kind in (_FIXED64, _FIXED32):
            position += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"it is no protobuf message (a field of kind {kind})")
        if position > len(message):
            raise ValueError("it ends within a field")
        yield tag >> 3, kind, message[start:position], value


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(message) and shift < 64:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
    raise ValueError("it ends within a number")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
