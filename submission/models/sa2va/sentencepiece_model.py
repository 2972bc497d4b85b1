"""Open a sentencepiece model, also one with a piece that newer versions of the library refuse.

InternLM2's tokenizer.model, as Sa2VA-8B and 26B ship it, has a piece that is one null character
(id 354). sentencepiece takes it up to 0.2.1 and refuses the whole model from 0.2.2 on. So the
library is handed a copy in memory in which this piece has another text; ids stay what they are.
"""

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


def open_pieces(path: Path) -> tuple[Any, int | None]:
    """Return the library's processor of a model file, and the id of its null piece, if it has one.

    Raises InputError with the cause when it cannot be read.
    """
    from google.protobuf.message import DecodeError
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
    except (DecodeError, RuntimeError, ValueError, TypeError, OSError) as error:
        cause = " ".join(str(error).split())
        raise InputError(
            f"{path}: the sentencepiece library does not read it: {cause}. A file that differs "
            "from the released one has to be fetched again"
        ) from None


def without_null(content: bytes) -> tuple[bytes, int | None]:
    """Return a model without a null piece, and the id of the one that was there.

    A model without one stays as it is. Raises DecodeError for what is no message, and ValueError
    for one without pieces.
    """
    from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

    model = ModelProto.FromString(content)
    if not model.pieces:
        raise ValueError("it holds no pieces")
    null_id = next((place for place, one in enumerate(model.pieces) if one.piece == NULL), None)
    if null_id is None:
        return content, None
    model.pieces[null_id].piece = STAND_IN
    return model.SerializeToString(), null_id
