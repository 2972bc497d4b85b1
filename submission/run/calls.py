"""Every call that works on a run keeps a file of its own, so that none takes from another.

Shards may work at once, on several machines: run.json is made from all of these files, and names
the hardware, code and seconds of each.

    <run>/calls/<when>-<machine>-<process>.json
"""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from submission.errors import InputError
from submission.files.strict_json import read_json

Call = dict[str, Any]

FOLDER = "calls"
_FIELDS = {"started": str, "seconds": dict, "made_for": dict, "data": dict, "hardware": dict}


def new_call_file(run: Path) -> Path:
    """Return a name that no other call has, on whatever machine; names sort by time."""
    when = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    machine = "".join(letter if letter.isalnum() else "-" for letter in platform.node())
    return run / FOLDER / f"{when}-{machine}-{os.getpid()}.json"


def read_calls(run: Path) -> list[Call]:
    """Return the calls of a run, oldest first; a damaged file counts as none."""
    calls = []
    for path in sorted((run / FOLDER).glob("*.json")):
        try:
            call = read_json(path)
        except InputError:
            continue
        if _is_call(call):
            calls.append(call)
    return calls


def _is_call(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    attention = value.get("attention", {})
    return (
        all(isinstance(value.get(name), kind) for name, kind in _FIELDS.items())
        and all(type(spent) in (int, float) for spent in value["seconds"].values())
        and isinstance(attention, dict)
        and all(isinstance(words, str) for words in attention.values())
    )


def sum_seconds(calls: Sequence[Call], now: Call) -> dict[str, float]:
    """Return the seconds of each stage, over the calls that worked for the result of `now`.

    Predictions of the same experts for the same split count, for whatever part of it; the stages
    after them only where recipe and part are the same.
    """
    seconds: dict[str, float] = {}
    for call in calls:
        if not _same_predictions(call, now):
            continue
        is_same = call["made_for"] == now["made_for"] and call["data"] == now["data"]
        for stage, spent in call["seconds"].items():
            if is_same or stage.startswith("predict"):
                seconds[stage] = round(seconds.get(stage, 0.0) + spent, 3)
    return seconds


def join_attention(calls: Sequence[Call], now: Call) -> dict[str, str]:
    """Return the kernel of memory attention of each expert, of the last call that used it."""
    known: dict[str, str] = {}
    for call in calls:
        if _same_predictions(call, now):
            known |= call.get("attention", {})
    return known


def _same_predictions(call: Call, now: Call) -> bool:
    same_split = all(
        call["data"].get(key) == now["data"].get(key) for key in ("split", "meta_sha256")
    )
    return same_split and call["made_for"].get("experts") == now["made_for"]["experts"]
