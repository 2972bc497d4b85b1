"""Work through cases: skip what is done or does not fit, write each row at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from scripts.benchmark.cases import Case
from scripts.benchmark.records import Row, append_row, find_row, read_rows


class Bench(Protocol):
    """What the runner needs to know of the machine and the models."""

    machine: Mapping[str, Any]
    revision: str

    def shortage(self, case: Case) -> str:
        """Why the case does not fit into memory, in words; empty when it fits."""

    def measure(self, case: Case) -> dict[str, Any]:
        """Results as JSON values."""


@dataclass
class Outcome:
    """What became of the cases."""

    rows: list[Row] = field(default_factory=list)  # also those of an earlier run
    skipped: list[str] = field(default_factory=list)  # in words, with the reason


def work_through(
    cases: Sequence[Case], bench: Bench, rows_file: Path, say: Callable[[str], None]
) -> Outcome:
    """Measure the cases in order; a call that was interrupted goes on where it was."""
    outcome, stored = Outcome(), read_rows(rows_file)
    for number, case in enumerate(cases, 1):
        head = {"case": case.values(), "machine": dict(bench.machine)}
        if (row := find_row(stored, head)) is not None:
            say(f"{number}/{len(cases)} {case}: already measured")
            outcome.rows.append(row)
            continue
        if reason := bench.shortage(case):
            outcome.skipped.append(f"{case}: {reason}")
            say(f"{number}/{len(cases)} {case}: skipped, {reason}")
            continue
        say(f"{number}/{len(cases)} {case}")
        started = time.monotonic()
        row = {**head, "revision": bench.revision, **bench.measure(case)}
        row["measured_in_seconds"] = round(time.monotonic() - started, 1)
        append_row(rows_file, row)
        outcome.rows.append(row)
    return outcome
