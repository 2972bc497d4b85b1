"""The numbers behind the page's charts and tables: bars of a histogram, a matrix, a record line.

Pure: values in, what the template draws out.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from submission.counted import counted

BINS = 20  # of the histogram, from 0 to 1
_SHORT_HASH = 12
SHOWN_FROM = 0.1  # seconds; what took less is left out


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram, in units of a drawing that is 1 wide and 1 high, y downwards."""

    x: float
    y: float
    width: float
    height: float
    label: str


def histogram(values: Sequence[float]) -> list[Bar]:
    """Return 20 bars of values from 0 to 1; the tallest fills the height, 1.0 is in the last."""
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int(value * BINS))] += 1
    most = max(1, *counts)
    return [
        Bar(
            x=index / BINS,
            y=1 - count / most,
            width=1 / BINS,
            height=count / most,
            label=f"{100 * index // BINS} to {100 * (index + 1) // BINS}: "
            f"{counted(count, 'sentence')}",
        )
        for index, count in enumerate(counts)
    ]


def mean_matrix(
    size: int, sentences: Sequence[tuple[Sequence[int], Sequence[float]]]
) -> list[list[float | None]]:
    """Return the mean IoU of every two experts over the sentences that both answered.

    A sentence gives the experts that answered and the IoU of each pair of them, in the order of
    `itertools.combinations`. None where no sentence was answered by both.
    """
    sums = [[0.0] * size for _ in range(size)]
    counts = [[0] * size for _ in range(size)]
    for present, values in sentences:
        pairs = [(a, b) for place, a in enumerate(present) for b in present[place + 1 :]]
        for (a, b), value in zip(pairs, values, strict=True):
            for row, column in ((a, b), (b, a)):
                sums[row][column] += value
                counts[row][column] += 1
    return [
        [
            1.0 if row == column else sums[row][column] / n if (n := counts[row][column]) else None
            for column in range(size)
        ]
        for row in range(size)
    ]


@dataclass(frozen=True)
class Fact:
    """One part of the run record: what it is, its value, and more on pointing at it."""

    name: str
    value: str
    more: str = ""


def record_line(record: Mapping[str, Any]) -> list[Fact]:
    """Return what made a run, from run.json: recipe, experts with hashes, code, machine, times."""
    recipe = record["recipe"]
    facts = [Fact("recipe", str(recipe["name"]))]
    sources = {one["name"]: _source(one) for one in recipe["experts"]}
    judge = str((recipe.get("judge") or {}).get("checkpoint", ""))  # of the gate; has no vote
    for name, identity in record["experts"].items():
        facts.append(_expert_fact(name, PurePath(sources.get(name, judge)).name, identity))
    revision = str(record["code"]["revision"])
    commit, _, changed = revision.partition("-")
    shown = f"{commit[:_SHORT_HASH]}{' (changed)' if changed else ''}"
    facts.append(Fact("code", f"{record['code']['version']}, {shown}", revision))
    machines = dict.fromkeys(_machine(call["hardware"]) for call in _that_predicted(record))
    facts.append(Fact("hardware", "; ".join(machines)))
    times = _times(record["seconds"])
    return [*facts, Fact("time", ", ".join(times))] if times else facts


def _that_predicted(record: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the calls whose experts worked, the last call where none is known."""
    calls = record.get("calls", [])
    return [one for one in calls if one["seconds"].get("predict", 0) >= SHOWN_FROM] or [record]


def _machine(hardware: Mapping[str, Any]) -> str:
    machine = f"{hardware['cpu']}, {hardware['cores']} cores"
    return ", ".join([*hardware.get("gpus", []), machine])


def _times(seconds: Mapping[str, float]) -> list[str]:
    """Say what each stage took; what was spent waiting is part of it and stands in brackets."""
    waited = sum(spent for stage, spent in seconds.items() if ", waiting" in stage)
    return [
        f"{stage} {_duration(spent)}"
        + (f" (waiting {_duration(waited)})" if stage == "predict" and waited >= SHOWN_FROM else "")
        for stage, spent in seconds.items()
        if ", waiting" not in stage and spent >= SHOWN_FROM
    ]


def _source(expert: Mapping[str, Any]) -> str:
    """What an expert's answers come from, as its recipe names it."""
    named = (expert.get(key) for key in ("checkpoint", "masks", "kind"))
    return next((str(word) for word in named if word), "unknown")


def _expert_fact(name: str, source: str, identity: Any) -> Fact:
    """Name an expert's checkpoint, masks or kind, and the hash of its files, where it has any.

    The hash of each file is `more`.
    """
    known = identity or {"masks": "unknown"}
    given = known.get("masks")
    if not (files := known.get("files") or (given and {"masks": given})):
        return Fact(f"expert {name}", source)
    listed = "\n".join(f"{file}  {digest}" for file, digest in sorted(files.items()))
    digest = next(iter(files.values())) if len(files) == 1 else _sha256(listed)
    about = f"{len(files)} files, " if len(files) > 1 else ""
    return Fact(f"expert {name}", f"{source}, {about}sha256 {digest[:_SHORT_HASH]}", listed)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
