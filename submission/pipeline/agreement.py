"""What the driver and its workers must have in common, or their answers are not one result.

Paths, machines and limits may differ; code, libraries, data, and what decides an expert's answers
(settings, hashes of weights, precision) may not.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from submission import __version__
from submission.code_digest import code_digest
from submission.dataset.records import Split
from submission.experts.expert import Expert
from submission.experts.scheduling import in_turn
from submission.masks.identity import differences
from submission.run.record import versions

SHOWN = 5  # differences that are told


def agreement(split: Split, experts: Sequence[Expert], known: dict[str, Any]) -> dict[str, Any]:
    """Return all that must agree, as JSON values.

    `known` has the identities that experts are told of those before them; it is filled here.
    """
    for expert in chain(*in_turn(experts)):
        known[expert.name] = json.loads(json.dumps(expert.identity()))
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
    found = differences(here, there)
    words = [f"{key} is {other} there and {own} here" for key, own, other in found[:SHOWN]]
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "; ".join([*words, *more])
