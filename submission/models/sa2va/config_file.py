"""config.json as every reader of a Sa2VA folder opens it, strictly; no torch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from submission.errors import FaultyInput, InputError
from submission.files.strict_json import read_object
from submission.models.sa2va.config_bounds import faults

MOST_BYTES = 1 << 24  # of a config.json; the largest released one has 6 kB


def read_values(folder: Path) -> Mapping[str, Any]:
    """Return the content of `folder/config.json`; a byte-order mark is no fault.

    Raises InputError for a file that is missing or no JSON object, FaultyInput with every value
    that no model has.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(
            f"{folder}: there is no config.json; a checkpoint is a folder with config.json, "
            "tokenizer files and *.safetensors; fetch the whole checkpoint"
        )
    values = read_object(path, most=MOST_BYTES)
    if wrong := list(faults(values)):
        raise FaultyInput(f"{path}: no model is like that:", wrong, "Fetch the file again.")
    return values


@contextmanager
def complete(where: object) -> Iterator[None]:
    """Let a key that config.json lacks be an InputError; `where` names the file in it."""
    try:
        yield
    except KeyError as error:
        raise InputError(f"{where}: the key {error} is missing; fetch it again") from None
