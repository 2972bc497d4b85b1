"""Where the work of one video lies at released sizes, in TFLOP: the public procedure and ours.

    python -m scripts.benchmark.flop_table --sizes Sa2VA-8B --key-frames 5,20

Counted on the meta device: no weights, no GPU, no clock.
"""

import argparse
import sys
from collections.abc import Sequence

from scripts.benchmark.flop import Stage, count, total
from scripts.benchmark.sizes import NAMES
from scripts.benchmark.tables import markdown

SIZES, KEY_FRAMES = ("Sa2VA-1B", "Sa2VA-8B", "Sa2VA-26B"), (5, 20)
FRAMES, SENTENCES = 79, 16  # the mean of MeViS valid


def main(words: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.benchmark.flop_table", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    numbers = lambda text: [int(part) for part in text.split(",")]  # noqa: E731
    parser.add_argument("--sizes", nargs="*", choices=NAMES, default=SIZES, metavar="SIZE")
    parser.add_argument("--key-frames", type=numbers, default=KEY_FRAMES, metavar="M,M,...")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="T")
    parser.add_argument("--sentences", type=int, default=SENTENCES, metavar="E")
    arguments = parser.parse_args(words)
    columns = {
        (size, shown): count(
            size, frames=arguments.frames, key_frames=shown, sentences=arguments.sentences
        )
        for size in arguments.sizes
        for shown in arguments.key_frames
    }
    print(table(columns))
    return 0


def table(columns: dict[tuple[str, int], list[Stage]]) -> str:
    """One column for each size and number of key frames: public, ours, and the factor."""
    header = ["TFLOP, public → ours"]
    header += [f"{size.removeprefix('Sa2VA-')}, M = {shown}" for size, shown in columns]
    all_stages = [[*stages, total(stages)] for stages in columns.values()]
    lines = [
        [row[0].name, *(f"{_short(stage.public)} → {_short(stage.ours)}" for stage in row)]
        for row in zip(*all_stages, strict=True)
    ]
    factors = [f"**{stages[-1].public / stages[-1].ours:.1f}**" for stages in all_stages]
    return markdown(header, [*lines, ["factor", *factors]])


def _short(flop: float) -> str:
    value = flop / 1e12
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
