"""A sentencepiece model of InternLM2's kind, written byte by byte: the same in every version."""

import struct

SPECIAL = ("<unk>", "<s>", "</s>")
UNKNOWN, CONTROL, NORMAL, BYTE = 2, 3, 1, 6  # kinds of pieces in sentencepiece_model.proto
LETTERS = "▁abcdeghilnorst?.,"
# In the order of merging: what stands first is joined first.
MERGES = ("th", "the", "▁the", "in", "ing", "▁d", "▁do", "▁dog", "▁the▁dog", "an", "and")


def written(null_at: int | None = None, byte_fallback: bool = True) -> bytes:
    """The model; with `null_at` one more piece, one null character, has that id."""
    pieces: list[tuple[str, float, int]] = [
        (text, 0.0, UNKNOWN if text == "<unk>" else CONTROL) for text in SPECIAL
    ]
    if byte_fallback:
        pieces += [(f"<0x{value:02X}>", 0.0, BYTE) for value in range(256)]
    words = [*MERGES, *LETTERS]
    pieces += [(text, -float(rank), NORMAL) for rank, text in enumerate(words)]
    if null_at is not None:
        pieces.insert(null_at, ("\0", -1e3, NORMAL))
    model = b"".join(_bytes(1, _piece(*piece)) for piece in pieces)
    return model + _bytes(2, _trainer(len(pieces), byte_fallback)) + _bytes(3, _normalizer())


def _piece(text: str, score: float, kind: int) -> bytes:
    return _bytes(1, text.encode()) + b"\x15" + struct.pack("<f", score) + _number(3, kind)


def _trainer(size: int, byte_fallback: bool) -> bytes:
    """BPE, bytes (if at all) for what has no piece, ids of <unk>, <s> and </s>; no pad."""
    settings = {3: 2, 4: size, 35: int(byte_fallback), 40: 0, 41: 1, 42: 2}
    return b"".join(_number(*pair) for pair in settings.items()) + _number(43, 2**64 - 1)


def _normalizer() -> bytes:
    """Text as it is; spaces as "▁"."""
    return _bytes(1, b"identity") + _number(3, 0) + _number(4, 0) + _number(5, 1)


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
