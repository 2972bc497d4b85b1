"""Work through cases within a budget: skip what is done or does not fit, write each row at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from scripts.benchmark.budget import Budget, Pace
from scripts.benchmark.cases import Case
from scripts.benchmark.records import Row, append_row, find_row, read_rows

TOLERANCE = 1.25  # a case is begun when its estimate times this is left
RUNS_OF_OURS = 1  # beside the repeats: the run with seconds per stage


class Bench(Protocol):
    """What the runner needs to know of the machine and the models."""

    machine: Mapping[str, Any]
    revision: str

    def flop(self, case: Case) -> tuple[float, float]:
        """FLOP of the public procedure and of ours."""

    def shortage(self, case: Case) -> str:
        """Why the case does not fit into memory, in words; empty when it fits."""

    def measure(self, case: Case) -> dict[str, Any]:
        """Results as JSON values."""


@dataclass
class Outcome:
    """What became of the cases."""

    rows: list[Row] = field(default_factory=list)  # also those of an earlier run
    skipped: list[str] = field(default_factory=list)  # in words, with the reason


def seconds_of(case: Case, bench: Bench, pace: Pace, repeats: int, asked: int) -> float:
    """Estimate the seconds that measuring a case takes, all its runs together."""
    public, ours = bench.flop(case)
    share = min(asked or case.sentences, case.sentences) / case.sentences
    return repeats * share * pace.estimate("public", public) + (
        repeats + RUNS_OF_OURS
    ) * pace.estimate("ours", ours)


def work_through(
    cases: Sequence[Case],
    bench: Bench,
    rows_file: Path,
    budget: Budget,
    pace: Pace,
    say: Callable[[str], None],
    *,
    repeats: int = 2,
    asked: int = 0,
) -> Outcome:
    """Measure the cases in order; `asked` is on how many sentences the public loop is timed.

    A case that is estimated not to end within the budget is left out, and a later, smaller one is
    still tried.
    """
    outcome, stored = Outcome(), read_rows(rows_file)
    for number, case in enumerate(cases, 1):
        head = {"case": case.values(), "machine": dict(bench.machine)}
        if (row := find_row(stored, head)) is not None:
            say(f"{number}/{len(cases)} {case}: already measured")
            outcome.rows.append(row)
            _learn(pace, bench, case, row)
            continue
        if reason := bench.shortage(case):
            outcome.skipped.append(f"{case}: {reason}")
            say(f"{number}/{len(cases)} {case}: skipped, {reason}")
            continue
        estimate = seconds_of(case, bench, pace, repeats, asked)
        if not budget.allows(estimate * TOLERANCE):
            reason = f"about {estimate:.0f} s are more than the {budget.left:.0f} s left"
            outcome.skipped.append(f"{case}: {reason}")
            say(f"{number}/{len(cases)} {case}: skipped, {reason}")
            continue
        say(f"{number}/{len(cases)} {case}: about {estimate:.0f} s")
        started = time.monotonic()
        row = {**head, "revision": bench.revision, **bench.measure(case)}
        row["measured_in_seconds"] = round(time.monotonic() - started, 1)
        append_row(rows_file, row)
        outcome.rows.append(row)
        _learn(pace, bench, case, row)
    return outcome


def _learn(pace: Pace, bench: Bench, case: Case, row: Row) -> None:
    for kind, flop in zip(("public", "ours"), bench.flop(case), strict=True):
        pace.learn(kind, flop, row[kind]["seconds"])
