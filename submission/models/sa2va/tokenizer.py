"""Text to token ids and back, from the checkpoint's own files and without its remote code.

Three kinds of files are read: `tokenizer.json` (Qwen checkpoints, and InternLM2 ones converted to
the fast format) or `vocab.json` with `merges.txt` (Qwen) with the `tokenizers` library, and
`tokenizer.model` (InternLM2 as released) with `sentencepiece`, where added tokens are cut out of
the text first.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from submission.errors import InputError
from submission.files.mistaken import mistaken_for
from submission.files.ordinary import read_ordinary
from submission.models.sa2va.sentencepiece_model import NULL, open_pieces
from submission.models.sa2va.tokenizer_files import (
    MOST_BYTES,
    added_tokens,
    end_of_answer,
    read_settings,
    read_vocabulary,
)

SEG = "[SEG]"  # its hidden state becomes the prompt of the mask decoder


class Tokenizer(Protocol):
    """What the language model needs of a tokenizer."""

    eos_id: int
    added: frozenset[str]  # texts that become one token wherever they stand

    def encode(self, text: str) -> list[int]:
        """Token ids of a whole prompt, with a leading BOS where the checkpoint uses one."""

    def encode_answer(self, text: str) -> list[int]:
        """Token ids of an answer: the same, but never with a BOS."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, special tokens included."""

    def find(self, token: str) -> int | None:
        """Id of one token, or None when the vocabulary lacks it."""


def load_tokenizer(folder: Path, needed: Sequence[str] = (SEG,)) -> Tokenizer:
    """Load the tokenizer of a checkpoint folder; raise InputError naming what is missing.

    `needed` are the tokens that the model itself has to know.
    """
    settings = read_settings(folder)
    tokenizer: Tokenizer
    if (folder / "tokenizer.json").is_file():
        tokenizer = FastTokenizer(_from_json(folder / "tokenizer.json"), folder, settings)
    elif (folder / "tokenizer.model").is_file():
        tokenizer = SentencePieceTokenizer(folder, settings)
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        tokenizer = FastTokenizer(_from_vocabulary(folder), folder, settings)
    else:
        raise InputError(
            f"{folder}: there is neither tokenizer.json nor tokenizer.model, nor vocab.json with "
            "merges.txt"
        )
    absent = sorted(set(needed) - find_tokens(tokenizer, needed).keys())
    if absent:
        raise InputError(f"{folder}: this is no Sa2VA tokenizer, it lacks {', '.join(absent)}")
    return tokenizer


def find_tokens(tokenizer: Tokenizer, tokens: Sequence[str]) -> dict[str, int]:
    """Ids of those of these tokens that the vocabulary has."""
    found = {token: tokenizer.find(token) for token in tokens}
    return {token: index for token, index in found.items() if index is not None}


def _from_json(path: Path) -> Any:
    """The library's tokenizer of a tokenizer.json."""
    from tokenizers import Tokenizer as Backend

    try:
        content = read_ordinary(path, MOST_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    if reason := mistaken_for(content):
        raise InputError(f"{path}: {reason}")
    try:
        return Backend.from_buffer(content.removeprefix(b"\xef\xbb\xbf"))
    except BaseException as error:  # bare Exception, or a panic of the library, for a damaged file
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise InputError(f"{path}: {error}; fetch it again") from None
        raise


def _from_vocabulary(folder: Path) -> Any:
    """The library's tokenizer of Qwen's vocab.json and merges.txt, cut as Qwen2 cuts text."""
    from transformers import Qwen2Tokenizer

    vocabulary, merges = read_vocabulary(folder)
    # The library adds special tokens of its own unless told not to; the checkpoint lists its own.
    nothing: dict[str, Any] = {"unk_token": None, "eos_token": None, "pad_token": None}
    pairs: Any = merges
    return Qwen2Tokenizer(vocab=vocabulary, merges=pairs, **nothing).backend_tokenizer


def spell_out(sentence: str, added: Collection[str]) -> str:
    """Return a sentence in which no added token stands: a space parts each that would be one.

    So `</img>` in a sentence is text ("< /img>") and never ends an image.
    """
    tokens = sorted((token for token in added if len(token) > 1), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, tokens)) or r"(?!)")
    return pattern.sub(lambda token: f"{token[0][0]} {token[0][1:]}", sentence)


class FastTokenizer:
    """A tokenizer of the `tokenizers` library; its own post-processor decides about the BOS."""

    def __init__(self, backend: Any, folder: Path, settings: Mapping[str, Any]) -> None:
        from tokenizers import AddedToken

        self._backend = backend
        for token, index in added_tokens(folder, settings).items():
            if self._backend.token_to_id(token) is None:
                self._backend.add_special_tokens([AddedToken(token, normalized=False)])
            if self._backend.token_to_id(token) != index:
                raise InputError(
                    f"{folder}: {token} is {self._backend.token_to_id(token)} in the vocabulary "
                    f"and {index} in the list of added tokens"
                )
        decoder = self._backend.get_added_tokens_decoder()
        self.added = frozenset(str(token.content) for token in decoder.values())
        self.eos_id = end_of_answer(folder, settings, self.find)

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

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._pieces, null_id = open_pieces(folder / "tokenizer.model")
        self._added = added_tokens(folder, settings)
        self.added = frozenset(self._added)
        self._cut_out = {NULL: null_id, **self._added} if null_id is not None else self._added
        self._names = {index: token for token, index in self._cut_out.items()}
        longest_first = sorted(self._cut_out, key=len, reverse=True)
        self._cut = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._bos = [int(self._pieces.bos_id())] if settings.get("add_bos_token", True) else []
        self.eos_id = end_of_answer(folder, settings, self.find)

    def encode(self, text: str) -> list[int]:
        return self._bos + self.encode_answer(text)

    def encode_answer(self, text: str) -> list[int]:
        ids: list[int] = []
        start = 0
        for match in self._cut.finditer(text):
            ids += self._encode_words(text[start : match.start()])
            ids.append(self._cut_out[match.group()])
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
