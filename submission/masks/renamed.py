"""An expert that got another name in the recipe keeps its answers: linked, not made again."""

import os
import shutil
from collections.abc import Container, Mapping
from contextlib import suppress
from typing import Any

from submission.dataset.records import Split
from submission.errors import InputError
from submission.files.whole import open_whole
from submission.masks.identity import IDENTITY_FILE, maker_of
from submission.masks.store import PredictionStore


def leftovers(store: PredictionStore, known: Container[str]) -> list[str]:
    """Return the names of experts that have answers in a store and are not known."""
    records = sorted(store.folder.glob(f"*/{IDENTITY_FILE}"))
    return [name for record in records if (name := record.parent.name) not in known]


def same_maker(
    store: PredictionStore, identity: Mapping[str, Any], known: Container[str]
) -> str | None:
    """Return the name, none of the known, under which answers of exactly this identity lie."""
    for name in leftovers(store, known):
        with suppress(InputError):  # a damaged record of an expert that nobody asks for
            if maker_of(store.identity(name)) == maker_of(identity):
                return name
    return None


def take_over(store: PredictionStore, old: str, new: str, split: Split) -> int:
    """Give `new` what it lacks of the answers of `old` that fit; return how many it got.

    Both names keep them. Each comes whole or not at all, so a call that is stopped can be repeated.
    """
    taken = 0
    for video, expression in split.sentences():
        target = store.path(new, video.name, expression.id)
        answer = store.path(old, video.name, expression.id)
        if target.exists() or not answer.exists():
            continue
        try:
            store.read(old, video, expression)
        except InputError:
            continue  # damaged, or of a sentence that was changed since: it is made anew
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(answer, target)
        except FileExistsError:
            continue  # another shard was first
        except OSError:  # a share that knows no links
            with answer.open("rb") as source, open_whole(target) as file:
                shutil.copyfileobj(source, file)
        taken += 1
    return taken
