"""The JSON and text files beside a tokenizer: added tokens, end of answer, vocabulary and merges.

Re-saved and hand-edited checkpoints write them in many shapes: what is absent or null counts as
not stated, anything else of a wrong kind is told with file and key.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from submission.errors import InputError
from submission.files.ordinary import read_ordinary
from submission.files.strict_json import kind_of, read_object

SETTINGS = "tokenizer_config.json"
ADDED = "added_tokens.json"
SPECIAL = "special_tokens_map.json"
MOST_BYTES = 1 << 28  # of any of these files; the largest released one has 7 MB
MOST_IDS = 1 << 31  # no vocabulary is larger


def read_settings(folder: Path) -> Mapping[str, Any]:
    """Return the content of tokenizer_config.json; raise InputError when it is not there."""
    if not (folder / SETTINGS).is_file():
        raise InputError(f"{folder / SETTINGS}: missing; the checkpoint is not complete")
    return read_object(folder / SETTINGS, most=MOST_BYTES)


def added_tokens(folder: Path, settings: Mapping[str, Any]) -> dict[str, int]:
    """Return the tokens added to the base vocabulary, in the order of their ids."""
    path = folder / SETTINGS
    tokens: dict[str, int] = {}
    stated = settings.get("added_tokens_decoder")
    if not isinstance(stated, dict | None):
        raise _odd(path, "added_tokens_decoder", stated, "an object of ids and tokens")
    for index, entry in (stated or {}).items():
        content = entry.get("content") if isinstance(entry, dict) else None
        if not isinstance(content, str):
            raise _odd(path, f'added_tokens_decoder "{index}"', entry, 'an object with "content"')
        if not (index.isascii() and index.isdigit() and len(index) <= len(str(MOST_IDS))):
            raise InputError(f"{path}: added_tokens_decoder has a key {index!r}, which is no id")
        tokens[content] = int(index)
    if (folder / ADDED).is_file():
        for token, number in read_object(folder / ADDED, most=MOST_BYTES).items():
            if type(number) is not int or not 0 <= number < MOST_IDS:
                raise _odd(folder / ADDED, f'"{token}"', number, "the id of a token")
            tokens[token] = number
    return dict(sorted(tokens.items(), key=lambda item: item[1]))


def end_of_answer(
    folder: Path, settings: Mapping[str, Any], find: Callable[[str], int | None]
) -> int:
    """Return the id of the token that ends an answer, by the name that the files state."""
    stated = settings.get("eos_token")
    if stated is None and (folder / SPECIAL).is_file():
        stated = read_object(folder / SPECIAL, most=MOST_BYTES).get("eos_token")
    name = stated.get("content") if isinstance(stated, dict) else stated
    index = find(name) if isinstance(name, str) else None
    if index is None:
        raise InputError(f"{folder / SETTINGS}: no usable eos_token ({name!r})")
    return index


def read_vocabulary(folder: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the ids of vocab.json and the pairs of merges.txt, in the order of merging.

    Raises InputError for a line of merges.txt whose parts or whole vocab.json does not have.
    """
    vocabulary = dict(read_object(folder / "vocab.json", most=MOST_BYTES))
    for token, index in vocabulary.items():
        if type(index) is not int or not 0 <= index < MOST_IDS:
            raise _odd(folder / "vocab.json", f'"{token}"', index, "the id of a token")
    path = folder / "merges.txt"
    try:
        lines = read_ordinary(path, MOST_BYTES).decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from None
    merges = []
    for number, line in enumerate(lines, 1):
        pair = line.rstrip("\r").split(" ")
        if line.startswith("#version") or pair == [""]:
            continue
        if len(pair) != 2 or not all(part in vocabulary for part in (*pair, "".join(pair))):
            raise InputError(
                f"{path}, line {number}: {line!r} is not a pair of tokens of vocab.json; fetch both"
            )
        merges.append((pair[0], pair[1]))
    return vocabulary, merges


def _odd(path: Path, key: str, value: Any, wanted: str) -> InputError:
    return InputError(f"{path}: {key} is {kind_of(value)}; it must be {wanted}")
