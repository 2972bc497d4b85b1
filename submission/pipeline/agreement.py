"""What the driver and its workers must have in common, or their answers are not one result.

Paths, machines and limits may differ; code, libraries, data, and what decides an expert's answers
(settings, hashes of weights, precision) may not.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from submission import __version__
from submission.code_digest import code_digest
from submission.dataset.records import Split
from submission.experts.expert import Expert
from submission.run.record import versions

SHOWN = 5  # differences that are told


def agreement(split: Split, experts: Sequence[Expert], known: dict[str, Any]) -> dict[str, Any]:
    """Return all that must agree, as JSON values.

    `known` has the identities that experts are told of those before them; it is filled here.
    """
    waiting = {expert.name: expert for expert in experts}
    while waiting:
        for name in [n for n, e in waiting.items() if not waiting.keys() & set(e.after())]:
            known[name] = json.loads(json.dumps(waiting.pop(name).identity()))
    return {
        "kit": __version__,
        "code": worker_code(),
        "libraries": versions(),
        "data": data_digest(split),
        "expert": {expert.name: known[expert.name] for expert in experts},
    }


def worker_code() -> str:
    """Name the code that a worker runs by its content."""
    return code_digest("submission.pipeline.worker")


def data_digest(split: Split) -> str:
    """Name the sentences, frames and sizes of a split by their content."""
    digest = hashlib.sha256()
    for video in split.videos:
        sentences = [[one.id, one.sentence] for one in video.expressions]
        digest.update(json.dumps([video.name, video.size, video.frame_names, sentences]).encode())
    return digest.hexdigest()[:16]


def difference_in_words(here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """Say what differs between the driver and a worker; empty for nothing."""
    before, now = dict(_flat(here)), dict(_flat(there))
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    words = [
        f"{key} is {_show(now.get(key))} there and {_show(before.get(key))} here"
        for key in keys[:SHOWN]
    ]
    more = [f"and {len(keys) - SHOWN} more"] if len(keys) > SHOWN else []
    return "; ".join([*words, *more])


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{prefix} {key}".strip())
    elif prefix:
        yield prefix, value


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
