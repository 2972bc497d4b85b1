"""Text to token ids and back, from the checkpoint's own files and without its remote code.

Two kinds of files are read: `tokenizer.json` (Qwen checkpoints, and InternLM2 ones converted to the
fast format) with the `tokenizers` library, and `tokenizer.model` (InternLM2 as released) with
`sentencepiece`, where added tokens are cut out of the text first.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from submission.errors import InputError
from submission.models.sa2va.internvl.prompt import IMAGE_CONTEXT, IMAGE_END, IMAGE_START, SEG

NEEDED_TOKENS = (IMAGE_START, IMAGE_END, IMAGE_CONTEXT, SEG)


class Tokenizer(Protocol):
    """What the language model needs of a tokenizer."""

    eos_id: int

    def encode(self, text: str) -> list[int]:
        """Token ids of a whole prompt, with a leading BOS where the checkpoint uses one."""

    def encode_answer(self, text: str) -> list[int]:
        """Token ids of an answer: the same, but never with a BOS."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, special tokens included."""

    def find(self, token: str) -> int | None:
        """Id of one token, or None when the vocabulary lacks it."""


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer of a checkpoint folder; raise InputError naming what is missing."""
    settings = _read_json(folder / "tokenizer_config.json")
    tokenizer: Tokenizer
    if (folder / "tokenizer.json").is_file():
        tokenizer = FastTokenizer(folder, settings)
    elif (folder / "tokenizer.model").is_file():
        tokenizer = SentencePieceTokenizer(folder, settings)
    else:
        raise InputError(f"{folder}: there is neither tokenizer.json nor tokenizer.model")
    absent = sorted(set(NEEDED_TOKENS) - special_ids(tokenizer).keys())
    if absent:
        raise InputError(f"{folder}: this is no Sa2VA tokenizer, it lacks {', '.join(absent)}")
    return tokenizer


def special_ids(tokenizer: Tokenizer) -> dict[str, int]:
    """Ids of the tokens that the model itself has to know."""
    found = {token: tokenizer.find(token) for token in NEEDED_TOKENS}
    return {token: index for token, index in found.items() if index is not None}


class FastTokenizer:
    """A tokenizer.json; its own post-processor decides about the BOS."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        from tokenizers import AddedToken
        from tokenizers import Tokenizer as Backend

        try:
            self._backend = Backend.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises bare Exception for a damaged file
            raise InputError(f"{folder / 'tokenizer.json'}: {error}; fetch it again") from None
        for token, index in _added_tokens(folder, settings).items():
            if self._backend.token_to_id(token) is None:
                self._backend.add_special_tokens([AddedToken(token, normalized=False)])
            if self._backend.token_to_id(token) != index:
                raise InputError(
                    f"{folder}: {token} is {self._backend.token_to_id(token)} in tokenizer.json "
                    f"and {index} in the list of added tokens"
                )
        self.eos_id = _eos_id(folder, settings, self.find)

    def encode(self, text: str) -> list[int]:
        return list(self._backend.encode(text).ids)

    def encode_answer(self, text: str) -> list[int]:
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._backend.decode(list(ids), skip_special_tokens=False))

    def find(self, token: str) -> int | None:
        index = self._backend.token_to_id(token)
        return None if index is None else int(index)


class SentencePieceTokenizer:
    """A tokenizer.model with added tokens on top, as InternLM2 checkpoints are released."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        from sentencepiece import SentencePieceProcessor

        path = folder / "tokenizer.model"
        try:
            self._pieces = SentencePieceProcessor(model_file=str(path))
        except (RuntimeError, OSError) as error:  # damaged; not readable
            raise InputError(f"{path}: {error}; fetch it again") from None
        self._added = _added_tokens(folder, settings)
        self._names = {index: token for token, index in self._added.items()}
        longest_first = sorted(self._added, key=len, reverse=True)
        self._cut = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._bos = [int(self._pieces.bos_id())] if settings.get("add_bos_token", True) else []
        self.eos_id = _eos_id(folder, settings, self.find)

    def encode(self, text: str) -> list[int]:
        return self._bos + self.encode_answer(text)

    def encode_answer(self, text: str) -> list[int]:
        ids: list[int] = []
        start = 0
        for match in self._cut.finditer(text):
            ids += self._encode_words(text[start : match.start()])
            ids.append(self._added[match.group()])
            start = match.end()
        return ids + self._encode_words(text[start:])

    def _encode_words(self, text: str) -> list[int]:
        return list(self._pieces.encode(text)) if text else []

    def decode(self, ids: Sequence[int]) -> str:
        parts: list[str] = []
        words: list[int] = []
        for index in ids:
            if index in self._names:
                parts += [self._pieces.decode(words), self._names[index]]
                words = []
            else:
                words.append(index)
        return "".join([*parts, self._pieces.decode(words)])

    def find(self, token: str) -> int | None:
        if token in self._added:
            return self._added[token]
        index = int(self._pieces.piece_to_id(token))
        return None if index == self._pieces.unk_id() else index


def _added_tokens(folder: Path, settings: dict[str, Any]) -> dict[str, int]:
    """Tokens added to the base vocabulary, in the order of their ids."""
    tokens = {
        entry["content"]: int(index)
        for index, entry in settings.get("added_tokens_decoder", {}).items()
    }
    older = folder / "added_tokens.json"
    if older.is_file():
        tokens |= {token: int(index) for token, index in _read_json(older).items()}
    return dict(sorted(tokens.items(), key=lambda item: item[1]))


def _eos_id(folder: Path, settings: dict[str, Any], find: Callable[[str], int | None]) -> int:
    stated = settings.get("eos_token")
    if stated is None and (folder / "special_tokens_map.json").is_file():
        stated = _read_json(folder / "special_tokens_map.json").get("eos_token")
    name = stated["content"] if isinstance(stated, dict) else stated
    index = find(name) if isinstance(name, str) else None
    if index is None:
        raise InputError(f"{folder / 'tokenizer_config.json'}: no usable eos_token ({name!r})")
    return int(index)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: missing; the checkpoint is not complete") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid JSON: {error}; fetch it again") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object")
    return value
