"""How time grows with the number of sentences and of frames, as a picture.

python -m scripts.benchmark.growth --size sample --threads 1 --out docs/images/growth.svg
python -m scripts.benchmark.growth --size Sa2VA-1B --device cuda --out build/growth.svg
"""

import argparse
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure

from scripts.benchmark.bench import DTYPES, ModelBench
from scripts.benchmark.cases import Case
from scripts.benchmark.measure import Method
from scripts.benchmark.sizes import NAMES
from scripts.benchmark.tables import CLOCKS, Row, machine_line
from submission.errors import SubmissionError
from submission.files.whole import write_bytes

SENTENCES, FRAMES = (1, 2, 4, 8, 16, 32), (20, 50, 100, 200, 400)
FIXED_FRAMES, FIXED_SENTENCES = 20, 4  # of the other axis
SHARED = ("vision encoder", "image encoder")  # stages that a video costs once
PUBLIC_COLOR, OURS_COLOR = "#c0392b", "#1f618d"


@dataclass(frozen=True)
class Line:
    """Points (x, y) in order of x, and how they are drawn."""

    name: str
    points: Sequence[tuple[float, float]]
    color: str
    dash: str = "-"  # matplotlib's word for a style of lines


def main(words: Sequence[str] | None = None) -> int:
    """Measure and draw; return 0, 1 when points are missing, or 2."""
    arguments = parse(words)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        return run(arguments)
    except SubmissionError as error:
        print(error, file=sys.stderr)
        return error.exit_status


def run(arguments: argparse.Namespace) -> int:
    """Measure and draw."""
    bench = ModelBench(arguments.device, arguments.dtype, Method(repeats=arguments.repeats))
    cases = growth_cases(Case(arguments.size, 1, arguments.key_frames, 1))
    outcome = bench.work_through(cases, lambda text: print(text, file=sys.stderr, flush=True))
    for line in outcome.skipped:
        print(f"left out: {line}", file=sys.stderr)
    if not outcome.rows:
        return 1
    write_bytes(arguments.out, picture(outcome.rows, arguments.clock).encode())
    print(f"{arguments.out}: {machine_line(outcome.rows[-1])}")
    return 1 if outcome.skipped else 0


def growth_cases(like: Case) -> list[Case]:
    """The cases of both panels; the one that both have comes once."""
    values = like.values()
    by_sentences = [
        Case(**{**values, "sentences": count, "frames": FIXED_FRAMES}) for count in SENTENCES
    ]
    by_frames = [
        Case(**{**values, "sentences": FIXED_SENTENCES, "frames": count}) for count in FRAMES
    ]
    return list(dict.fromkeys([*by_sentences, *by_frames]))


def picture(rows: Sequence[Row], clock: str) -> str:
    """Both panels as SVG, the same text for the same rows."""
    case = rows[0]["case"]
    panels = (
        (f"Sentences, at {FIXED_FRAMES} frames", "sentences", "sentences (E)",
         [row for row in rows if row["case"]["frames"] == FIXED_FRAMES]),
        (f"Frames, at {FIXED_SENTENCES} sentences", "frames", "frames (T)",
         [row for row in rows if row["case"]["sentences"] == FIXED_SENTENCES]),
    )  # fmt: skip
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    for axes, (title, axis, x_name, own) in zip(figure.subplots(1, 2), panels, strict=True):
        for line in lines(own, axis, clock):
            axes.plot(*zip(*line.points, strict=True), line.dash, color=line.color, marker="o",
                      markersize=4, label=line.name)  # fmt: skip
        axes.set(title=title, xlabel=x_name, xlim=(0, None), ylim=(0, None),
                 ylabel="seconds" if clock == "wall" else "seconds of CPU time")  # fmt: skip
        axes.grid(axis="y", alpha=0.4)
        axes.legend(frameon=False)
    drawn = io.StringIO()
    summary = f"Time of the public procedure and of ours; model {case['size']}"
    style = {"svg.hashsalt": "growth", "svg.fonttype": "none"}  # letters stay letters
    with matplotlib.rc_context(style):
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Title": summary})
    return drawn.getvalue()


def lines(rows: Sequence[Row], axis: str, clock: str) -> list[Line]:
    """Public, ours, and of ours what does not depend on the sentences."""
    key = CLOCKS[clock]
    ordered = sorted(rows, key=lambda row: row["case"][axis])

    def shared(row: Row) -> float:
        stages = row["ours"]["stages"]
        # As a share, because the run with stages is another one than the one that is shown.
        return row["ours"][key] * sum(stages[name] for name in SHARED) / sum(stages.values())

    return [
        Line("public procedure", [(r["case"][axis], r["public"][key]) for r in ordered],
             PUBLIC_COLOR),
        Line("ours", [(r["case"][axis], r["ours"][key]) for r in ordered], OURS_COLOR),
        Line("ours, both image encoders", [(r["case"][axis], shared(r)) for r in ordered],
             OURS_COLOR, "--"),
    ]  # fmt: skip


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.benchmark.growth", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--size", choices=NAMES, default="sample")
    parser.add_argument("--key-frames", type=int, default=5, metavar="M")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", choices=("auto", *DTYPES), default="auto")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/images/growth.svg"))
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
