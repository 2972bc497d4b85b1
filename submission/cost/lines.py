"""The cost of a run in words: the table that a dry run prints."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from submission.compute import Precision
from submission.cost.estimate import seconds_of_all
from submission.cost.hardware import SHOWN, Gpu, find_gpu
from submission.counted import counted
from submission.device import Place
from submission.models.workload import Limits, Stages, sum_stages, total
from submission.terminal.tables import in_columns

FOOTNOTE = "* with smaller limits, which are chosen by themselves:"
MOST_STAGES = 4  # named, the costliest first


@dataclass(frozen=True)
class Fitting:
    """Peak memory of an expert on one GPU, with the limits that are chosen there."""

    peak: float  # bytes
    fits: bool
    smaller: Limits | None = None  # the limits, where they are below those of the recipe


@dataclass(frozen=True)
class MemberCost:
    """What one expert has still to do."""

    name: str
    by_video: Mapping[str, Stages]  # ours; empty when nothing is left to do
    public: Stages | None  # None: there is no procedure to compare with
    reading: float  # core seconds to decode and resize frames
    peak: float | None  # bytes at its largest video, with the limits of the recipe
    on: Mapping[str, Fitting | None]  # by name of a GPU; None where its memory is unknown

    @cached_property
    def ours(self) -> Stages:
        """Of all videos together."""
        return sum_stages(self.by_video.values())


@dataclass(frozen=True)
class Together:
    """What several workers take, in seconds by name of a GPU; of GPUs whose speed is known."""

    workers: int | None  # None: only the run will know
    on_one: int  # workers that have a GPU in common
    seconds: Mapping[str, float]  # of so many workers
    longest: Mapping[str, float]  # of the longest video of each pass, which one worker answers


def cost_lines(
    members: Sequence[MemberCost], unknown: Mapping[str, str], place: Place | None,
    precision: Precision, together: Together | None = None,
) -> list[str]:  # fmt: skip
    """Return a table of the experts' work, memory and time, and what most of the work is.

    Times are those of one GPU, and where several workers are asked for of these, too.
    """
    lines = [f"cost       {name}: unknown, {why}" for name, why in unknown.items()]
    busy = [member for member in members if member.ours]
    if not busy:
        return lines
    names = [place.name] if place is not None else list(SHOWN)
    rows = [("cost of", "work", "public procedure", "GPU memory", *names)]
    rows += [_row(member.name, [member], names, precision) for member in busy]
    if len(busy) > 1:
        rows.append(_row("all", busy, names, precision))
    if together is not None:
        rows += _rows_of_workers(together, busy, names)
    lines += ["", *in_columns(rows)]
    lines += _smaller_lines(busy)
    if together is not None:
        lines += _on_workers(together)
    cores = sum(member.reading for member in busy)
    lines += [
        f"most of the work: {_largest(sum_stages(member.ours for member in busy))}",
        f"beside it, frames are decoded and resized: {duration(cores)} of one CPU core",
        "Work is counted; memory and time are estimates: docs/cost.md says how, and how checked.",
    ]
    return lines


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def flop_in_words(flop: float) -> str:
    """Return a number of FLOP with a unit that leaves few digits."""
    for unit in ("GFLOP", "TFLOP", "PFLOP"):
        if flop < 1e12:
            return f"{flop / 1e9:.3g} {unit}"
        flop /= 1e3
    return f"{flop / 1e9:.3g} EFLOP"


def _row(
    name: str, members: Sequence[MemberCost], gpus: Sequence[str], precision: Precision
) -> tuple[str, ...]:
    return (
        name,
        flop_in_words(total(sum_stages(member.ours for member in members)).flop),
        _public(members),
        _peak(members),
        *(_on(gpu, members, _seconds(gpu, members, precision)) for gpu in gpus),
    )


def _rows_of_workers(
    together: Together, members: Sequence[MemberCost], gpus: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    rows = {"longest video": together.longest}
    if together.workers is not None:
        rows = {counted(together.workers, "worker"): together.seconds, **rows}
    for name, seconds in rows.items():
        yield name, "", "", "", *(_on(gpu, members, seconds.get(gpu)) for gpu in gpus)


def _on_workers(together: Together) -> list[str]:
    """What the rows of workers mean."""
    where = f"{together.on_one} on a GPU, which they share" if together.on_one > 1 else "a GPU each"
    lines = [
        "workers take the largest videos first, as a run hands them out; starting, loading and "
        f"losses come on top; {where}"
    ]
    if together.workers is None:
        lines.append("how many workers there will be is known when the run starts")
    return [*lines, "no number of workers takes less than the longest video (of each pass)"]


def _public(members: Sequence[MemberCost]) -> str:
    """Work of the public procedure of those that have one, and how many times ours that is."""
    both = [(member.ours, member.public) for member in members if member.public is not None]
    if not both:
        return "unknown"
    ours, public = (total(sum_stages(stages)).flop for stages in zip(*both, strict=True))
    return f"{flop_in_words(public)} ({public / ours:.1f} times)"


def _peak(members: Sequence[MemberCost]) -> str:
    known = [member.peak for member in members if member.peak is not None]
    return f"{max(known) / 1e9:.1f} GB" if known else "unknown"


def _seconds(name: str, members: Sequence[MemberCost], precision: Precision) -> float | None:
    """Time on one GPU, where experts run one after another; None where its speed is unknown."""
    gpu: Gpu | None = find_gpu(name)
    if gpu is None:
        return None
    stages = sum_stages(member.ours for member in members)
    return seconds_of_all(stages, gpu, precision).expected


def _on(name: str, members: Sequence[MemberCost], seconds: float | None) -> str:
    """A time on a GPU, or that the experts do not fit there."""
    fittings = [fitting for member in members if (fitting := member.on[name]) is not None]
    if not all(fitting.fits for fitting in fittings):
        return "does not fit"
    star = " *" if any(fitting.smaller for fitting in fittings) else ""
    return f"fits, speed unknown{star}" if seconds is None else f"{duration(seconds)}{star}"


def _smaller_lines(members: Sequence[MemberCost]) -> list[str]:
    """With which limits each expert fits, where these are not the recipe's."""
    lines = [
        f"  {member.name} on {gpu}: {limits.words}"
        for member in members
        for gpu, fitting in member.on.items()
        if fitting is not None and (limits := fitting.smaller) is not None
    ]
    return [FOOTNOTE, *lines] if lines else []


def _largest(stages: Stages) -> str:
    flop = total(stages).flop
    ordered = sorted(stages.items(), key=lambda item: -item[1].flop)[:MOST_STAGES]
    return ", ".join(f"{stage} {work.flop / flop:.0%}" for stage, work in ordered)
