"""Rows of a benchmark as Markdown tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Row = dict[str, Any]  # of one case: what was measured, as JSON values

CLOCKS = {"wall": "seconds", "cpu": "cpu_seconds"}


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    return "\n".join(table_lines(header, lines))


def print_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print a table line by line as it comes, so that a run that is ended leaves what it had."""
    for line in table_lines(header, lines):
        print(line, flush=True)


def table_lines(header: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a Markdown table."""
    rule = ["---", *("---:" for _ in header[1:])]
    for line in (header, rule):
        yield f"| {' | '.join(line)} |"
    for line in lines:
        yield f"| {' | '.join(line)} |"


def comparison(rows: Sequence[Row], clock: str = "wall") -> str:
    """Public against ours: one line for each row; `clock` is "wall" or "cpu"."""
    header = [
        "model, size of frames", "M", "tokens", "E", "T", "public, s", "ours, s", "factor",
        "sentences/s", "frames/s", "lowest IoU", "equal pixels", "peak public", "peak ours",
        "of the limit",
    ]  # fmt: skip
    key = CLOCKS[clock]
    lines = [_comparison_line(row, key) for row in rows]
    if not any(row["limit"] for row in rows):
        header, lines = header[:-1], [line[:-1] for line in lines]
    return markdown(header, lines)


def _comparison_line(row: Row, key: str) -> list[str]:
    case, same = row["case"], row["agreement"]
    public, ours = row["public"][key], row["ours"][key]
    timed = row["public"]["sentences_timed"]
    scaled = "" if timed == case["sentences"] else f" ({timed} timed)"
    asked = case["sentences"]
    return [
        describe_model(case), str(case["key_frames"]), str(row["tokens"]), str(asked),
        str(case["frames"]),
        f"{public:.2f}{scaled}", f"{ours:.2f}", f"{public / ours:.1f}",
        f"{asked / ours:.2f}", f"{asked * case['frames'] / ours:.1f}",
        f"{same['lowest_iou']:.5f}", f"{same['equal_pixels']:.6f}",
        _peak(row["public"]["peak"]), _peak(row["ours"]["peak"]), _share(row["limit"], ours),
    ]  # fmt: skip


def describe_model(case: Mapping[str, Any]) -> str:
    """`Sa2VA-8B, 720 x 1280`; procedure and attention where they are not the usual ones."""
    name = case["size"] if case["procedure"] == "sa2va" else f"{case['size']} {case['procedure']}"
    shown = "" if case["attention"] == "auto" else f", {case['attention']}"
    shown += "" if case["compile"] == "off" else f", compile = {case['compile']}"
    return f"{name}, {case['height']} x {case['width']}{shown}"


def peaks(rows: Sequence[Row]) -> str:
    """Peak memory of ours on a GPU beside the estimate; empty on a CPU, which holds libraries."""
    lines = [
        [describe_model(row["case"]), str(row["case"]["sentences"]),
         size_of(row["ours"]["peak"]["held"]), size_of(row["estimated_peak"])]
        for row in rows
        if row["ours"]["peak"]["reserved"]
    ]  # fmt: skip
    return markdown(["model", "E", "peak of ours", "estimated"], lines) if lines else ""


def stages(row: Row) -> str:
    """Seconds per stage of one row, public and ours, the largest of the public first."""
    from scripts.benchmark.stages import REST  # imports models, which most tables are not about

    public, ours = row["public"]["stages"], row["ours"]["stages"]
    names = sorted({*public, *ours} - {REST}, key=lambda name: (-public.get(name, 0.0), name))
    lines = [_stage_line(name, public, ours) for name in [*names, REST]]
    sums = {"together": sum(public.values())}, {"together": sum(ours.values())}
    return markdown(
        ["stage", "public, s", "ours, s", "factor"], [*lines, _stage_line("together", *sums)]
    )  # fmt: skip


def _stage_line(name: str, public: Mapping[str, float], ours: Mapping[str, float]) -> list[str]:
    a, b = public.get(name, 0.0), ours.get(name, 0.0)
    # Below a hundredth of a second a quotient says nothing.
    return [name, f"{a:.2f}", f"{b:.2f}", f"{a / b:.1f}" if b >= 0.005 else ""]


def utilisation(rows: Sequence[Row]) -> str:
    """How busy the GPU was, of the rows that were looked at."""
    lines = []
    for row in rows:
        for name in ("public", "ours"):
            seen = row[name]["utilisation"]
            if seen["busy"] is not None:
                lines.append(
                    [f"{describe_model(row['case'])}, {name}", f"{seen['busy']:.0%}",
                     f"{seen['watts']:.0f}", str(seen["samples"])]
                )  # fmt: skip
    return markdown(["run", "GPU busy", "watts", "samples"], lines) if lines else ""


def machine_line(row: Row) -> str:
    """Where and with what a row was measured."""
    machine = row["machine"]
    return (
        f"{machine['device']}, {machine['dtype']}, Python {machine['python']}, "
        f"torch {machine['torch']}, transformers {machine['transformers']}, "
        f"memory attention by {row['memory_attention']}, compile {row['compile']}, "
        f"revision {row['revision']}"
    )


def size_of(count: float) -> str:
    """Bytes for people, in powers of ten."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _peak(peak: Mapping[str, Any]) -> str:
    if peak["reserved"]:
        return f"{size_of(peak['held'])} ({size_of(peak['reserved'])} reserved)"
    return size_of(peak["held"])


def _share(limit: float | None, seconds: float) -> str:
    """What share of the measured time the hardware's limit is; empty where no limit is known."""
    return "" if limit is None else f"{limit / seconds:.0%}"
