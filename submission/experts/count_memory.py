"""Counts of work, remembered in the user's cache: a network is counted once, not for every dry run.

A file holds the counts of one part of a model (an image encoder, a language model), under a digest
of its sizes and of the code that runs; so a count never outlives what it was made from.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import astuple
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from submission.code_digest import code_digest
from submission.errors import InputError
from submission.files.strict_json import read_object
from submission.files.user_cache import cache_folder
from submission.files.whole import write_json
from submission.models.unit_calls import Calls, Unit, units_of
from submission.models.workload import Stages, Work

MOST_BYTES = 1 << 22  # of a file of counts; one has a few kilobytes
Counter = Callable[[Unit], Work]
IN_THIS_PROCESS: dict[str, dict[str, Work]] = {}  # counts by the name of their file


class Counts:
    """The counts of one part of a model; what is not known yet is counted when it is asked for.

    `sizes` is all that decides them, as JSON, and `modules` name the modules that count, with all
    that they import. `make` lays the network out; it is called only where something is unknown.
    """

    def __init__(self, sizes: Any, make: Callable[[], Counter], *modules: str) -> None:
        libraries = [version(name) for name in ("sam2", "torch", "transformers")]
        words = json.dumps([sizes, code_digest(*modules), libraries], sort_keys=True)
        digest = hashlib.sha256(words.encode()).hexdigest()[:32]
        self.file = cache_folder() / "counts" / f"{digest}.json"
        self._make = make

    def __call__(self, unit: Unit) -> Work:
        return self._known[str(unit)]

    def learn(self, units: Iterable[Unit]) -> None:
        """Count those that are not known, and remember them."""
        unknown = sorted((unit for unit in units if str(unit) not in self._known), key=str)
        for unit in unknown:
            self._known[str(unit)] = self._counter(unit)
        if unknown:
            with suppress(OSError):  # a user without a home counts every time
                write_json(self.file, {name: astuple(one) for name, one in self._known.items()})

    @property
    def _known(self) -> dict[str, Work]:
        if self.file.name not in IN_THIS_PROCESS:
            IN_THIS_PROCESS[self.file.name] = _read(self.file)
        return IN_THIS_PROCESS[self.file.name]

    @cached_property
    def _counter(self) -> Counter:
        return self._make()


def stages_of(calls: Mapping[str, Calls], counts: Mapping[str, Counts]) -> Stages:
    """The work of each stage, `counts` being those of each part."""
    units = units_of(calls)
    for part in {unit.part for unit in units}:
        counts[part].learn(unit for unit in units if unit.part == part)
    return {stage: one.work(lambda unit: counts[unit.part](unit)) for stage, one in calls.items()}


def _read(file: Path) -> dict[str, Work]:
    """The counts of a file; none where it is not there, or is not what was written."""
    try:
        return {name: _work(stored) for name, stored in read_object(file, most=MOST_BYTES).items()}
    except (InputError, OSError, TypeError, ValueError):
        return {}


def _work(stored: Any) -> Work:
    flop, attention, wide, values, calls = map(float, stored)
    return Work(flop, attention, wide, values, calls)
