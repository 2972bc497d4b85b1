"""Take the measured sections of docs/performance.md anew, on this machine: `make bench-small`.

Everything is run on the CPU, with all its cores, and with the small checkpoints that come along; it
takes some minutes. What stands outside the sections is left as it is.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from scripts.benchmark import growth
from scripts.benchmark.bench import ModelBench
from scripts.benchmark.cases import Case
from scripts.benchmark.flop_table import FRAMES, KEY_FRAMES, SENTENCES, SIZES, count, table
from scripts.benchmark.measure import Method
from scripts.benchmark.tables import CLOCKS, Row, comparison, machine_line, stages
from submission.errors import InputError, SubmissionError
from submission.files.whole import write_bytes

PAGE = Path("docs/performance.md")
PICTURE = Path("docs/images/growth.svg")
REPEATS = 2
CASES = (
    Case("sample", 40, 5, 1),
    Case("sample", 40, 5, 4),
    Case("sample", 40, 5, 16),
    Case("sample", 40, 5, 16, procedure="sa2va-i"),
    Case("sample", 40, 20, 16),
    Case("reference-qwen2", 40, 5, 16),
    Case("reference-internlm2", 40, 5, 16),
    Case("reference-internlm2", 40, 20, 16),
)
SHOWN = CASES[2]  # its seconds per stage are told
MEASURED, PER_STAGE = "Small models on a CPU", "Seconds per stage"
BY_FLOP = "Released sizes, by FLOP"


def main(words: Sequence[str] | None = None) -> int:
    """Measure, count, draw and write; return 0, or 2 where something is missing or wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.benchmark.document", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--clock",
        choices=tuple(CLOCKS),
        default="wall",
        help="cpu: seconds of all threads, for a machine that is busy",
    )
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    arguments = parser.parse_args(words)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        text = arguments.page.read_text(encoding="utf-8")
        for title, body in sections(arguments).items():
            text = replace_section(text, title, body)
    except SubmissionError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    write_bytes(arguments.page, text.encode())
    print(f"written: {arguments.page}, {arguments.picture}")
    return 0


def sections(arguments: argparse.Namespace) -> dict[str, str]:
    """Measure everything; return the body of each section by its title."""
    bench = ModelBench("cpu", "float32", Method(REPEATS))
    rows = bench.work_through(CASES, say).rows
    said = ["--size", "sample", "--device", "cpu", "--clock", arguments.clock]
    said += ["--threads", str(arguments.threads)]
    said += ["--out", str(arguments.picture)]
    if growth.main(said):
        raise InputError("the picture of growth was not drawn; what went wrong stands above")
    say("counting FLOP")
    columns = count((size, shown) for size in SIZES for shown in KEY_FRAMES)
    (shown,) = (row for row in rows if row["case"] == SHOWN.values())
    return {
        MEASURED: measured(rows, arguments.clock),
        PER_STAGE: f"Model `sample`, E = {SHOWN.sentences}, T = {SHOWN.frames}, "
                   f"M = {SHOWN.key_frames}; one run by the clock of the wall, public seconds "
                   "are those of one sentence times E. *Rest* is resizing, upsampling, copying and "
                   f"Python.\n\n{stages(shown)}",
        BY_FLOP: f"One video of {FRAMES} frames with {SENTENCES} sentences; "
                 f"`python -m scripts.benchmark.flop_table`.\n\n{table(columns)}",
    }  # fmt: skip


def measured(rows: Sequence[Row], clock: str) -> str:
    """The comparison, below where and how it was taken."""
    told: dict[str, Any] = {
        "wall": "seconds by the clock of the wall",
        "cpu": "seconds of CPU time, because the machine had other work",
    }
    return (
        f"`make bench-small`; {told[clock]}, the faster of {REPEATS} runs of each in turn.  \n"
        f"{machine_line(rows[-1])}.\n\n{comparison(rows, clock)}"
    )


def replace_section(text: str, title: str, body: str) -> str:
    """Return Markdown in which what stands below a heading, up to the next one, is `body`.

    Raises InputError when there is no such heading, or more than one.
    """
    lines = text.split("\n")
    places = [index for index, line in enumerate(lines) if line.lstrip("#") == f" {title}"]
    if len(places) != 1:
        raise InputError(f"{len(places)} headings are called {title!r}; there must be one")
    start = places[0] + 1
    following = (index for index in range(start, len(lines)) if lines[index].startswith("#"))
    end = next(following, len(lines))
    tail = ["", *lines[end:]] if end < len(lines) else [""]
    return "\n".join([*lines[:start], *body.rstrip().split("\n"), *tail])


def say(text: str) -> None:
    """Progress goes to standard error."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
