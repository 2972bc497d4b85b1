"""Who answered: an expert's record, compared value by value, and made again where a disk spoilt it.

Every answer names its maker, by a digest of the record, so a damaged record costs no answer.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from submission.errors import Fault, InputError, StoreMismatch, list_faults
from submission.files.removal import remove
from submission.files.sealed_json import read_sealed
from submission.files.strict_json import read_object
from submission.files.whole import write_json

IDENTITY_FILE = "expert.json"
MADE_BY = "made_by"  # the member of an answer that names its maker
MEND = "the same submit or predict with --mend"


def maker_of(identity: Mapping[str, Any]) -> str:
    """Return the short name of an identity (JSON values) that its answers carry."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]


def read_identity(path: Path) -> Any:
    """Return the record in `path`, None where nothing is; raise InputError where it is damaged."""
    if not path.exists() and not path.is_symlink():
        return None
    try:
        return read_object(path)
    except InputError as error:
        raise InputError(
            f"{path}: damaged ({str(error).removeprefix(f'{path}: ')}); {MEND} makes it again and "
            "keeps every prediction that names the expert of the recipe as its maker"
        ) from error


def claim_folder(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Write the record of a new folder; raise StoreMismatch where it is not that of the answers.

    A folder without any answer is a new one, also where a run that made none has left its record.
    Raises InputError for a record of answers that is damaged.
    """
    path = folder / IDENTITY_FILE
    first = first_answer(folder)
    try:
        stored = read_identity(path)
    except InputError:
        if first is not None:
            raise
        stored = None
    if stored == wanted:
        return
    if first is None:
        write_json(path, wanted)
    elif _maker(first) == maker_of(wanted):
        keys = ", ".join(ascii(key) for key, *_ in differences(stored, wanted))[:200]
        what = "missing" if stored is None else f"damaged: {keys}"
        raise InputError(
            f"{path}: {what}; its predictions were made by the expert of the recipe: {MEND} "
            "writes it again and keeps them"
        )
    elif stored is None:
        raise StoreMismatch(
            f"{folder}: it holds predictions but no {IDENTITY_FILE}, so nobody can tell what made "
            "them; delete this folder, or choose another with --run"
        )
    else:
        raise _difference(folder, stored, wanted)


def first_answer(folder: Path) -> Path | None:
    """Return some answer in the folder of an expert, None where it has none; nothing is opened."""
    return next(folder.glob("*/*.json"), None)


def mend_folder(folder: Path, wanted: Mapping[str, Any], *, dry: bool = False) -> list[Path]:
    """Make the record of a folder right, and return the answers that had to go for it.

    Answers that name no maker go with a record that nobody can read. Raises StoreMismatch where
    whole answers name another maker than `wanted`: these are not damaged but belong elsewhere.
    With `dry` nothing is changed.
    """
    path = folder / IDENTITY_FILE
    try:
        stored = read_identity(path)
    except InputError:
        stored = None
    if stored == wanted:
        return []
    makers = {answer: _maker(answer) for answer in sorted(folder.glob("*/*.json"))}
    ours = maker_of(wanted)
    if stored is not None and any(maker != ours for maker in makers.values()):
        raise _difference(folder, stored, wanted)
    if any(maker not in (None, ours) for maker in makers.values()):
        raise StoreMismatch(
            f"{folder}: its predictions were made by another expert than that of the recipe; "
            f"choose another folder with --run, or delete {folder} to predict again"
        )
    others = [answer for answer, maker in makers.items() if maker is None]
    if dry:
        return others
    for answer in others:
        remove(answer)
    remove(path)
    write_json(path, wanted)
    return others


def _maker(answer: Path) -> str | None:
    try:
        maker = read_sealed(answer).get(MADE_BY)
    except InputError:
        return None
    return maker if isinstance(maker, str) else None


def _difference(folder: Path, stored: Any, wanted: Mapping[str, Any]) -> StoreMismatch:
    found = differences(stored, wanted)
    return StoreMismatch(
        list_faults(
            f"{folder}: these predictions were made differently:",
            [Fault(key, f"{then} then, {now} now") for key, then, now in found],
            f"Choose another folder with --run, or delete {folder} to predict again.",
        )
    )


def differences(first: Any, second: Any) -> list[tuple[str, str, str]]:
    """Return every value in which two records (JSON) differ: its key, and both in words."""
    one, other = _flatten(first), _flatten(second)
    keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    return [(key, _show(one, key), _show(other, key)) for key in keys]


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested objects as one level, with dots: {"a": {"b": 1}} is {"a.b": 1}."""
    if not isinstance(value, dict) or not value:
        return {prefix or "(everything)": value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flatten(item, f"{prefix}.{key}" if prefix else key)
    return flat


def _show(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "nothing"
    text = json.dumps(values[key])
    return text if len(text) <= 60 else f"{text[:57]}..."
