"""Where the work of one video lies at released sizes, in TFLOP: the public procedure and ours.

    python -m scripts.benchmark.flop_table --sizes Sa2VA-8B --key-frames 5,20
    python -m scripts.benchmark.flop_table --modes Sa2VA-26B     # of SaSaSa2VA, by length

The public procedure reads everything anew for each sentence; of SaSaSa2VA it reads 100 images and
decodes 100 frames where a mode averages.

Counted on the meta device: no weights, no GPU, no clock.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from scripts.benchmark.cases import Case
from scripts.benchmark.cost import cost_of, works_of
from scripts.benchmark.sizes import NAMES
from scripts.benchmark.tables import markdown
from submission.models.sa2va.course import course_of
from submission.models.sa2va.settings import MODES, Settings
from submission.models.workload import Clip, Limits, Stages, total

SIZES, KEY_FRAMES = ("Sa2VA-1B", "Sa2VA-8B", "Sa2VA-26B"), (5, 20)
FRAMES, SENTENCES = 79, 16  # the mean of MeViS valid
MODE_LENGTHS, MODE_SENTENCES = (60, 100, 150), 8
SELECTED = "q_frame"  # the mode that needs frames that somebody has selected


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
    parser.add_argument("--modes", choices=NAMES, metavar="SIZE", help="those of SaSaSa2VA, only")
    arguments = parser.parse_args(words)
    if arguments.modes:
        print(modes(arguments.modes))
        return 0
    sizes = ((size, shown) for size in arguments.sizes for shown in arguments.key_frames)
    columns = count(sizes, arguments.frames, arguments.sentences)
    print(table(columns))
    return 0


def count(
    sizes: Iterable[tuple[str, int]], frames: int = FRAMES, sentences: int = SENTENCES
) -> dict[tuple[str, int], tuple[Stages, Stages]]:
    """Work of one 720p video by ours and the public procedure, by size and key frames."""
    return {
        (size, shown): works_of(Case(size, frames, shown, sentences, 720, 1280), Limits())
        for size, shown in sizes
    }


def table(columns: Mapping[tuple[str, int], tuple[Stages, Stages]]) -> str:
    """One column for each size and number of key frames: public, ours, and the factor."""
    header = ["TFLOP, public → ours"]
    header += [f"{size.removeprefix('Sa2VA-')}, M = {shown}" for size, shown in columns]
    together = [
        [{**stages, "together": total(stages)} for stages in both] for both in columns.values()
    ]
    lines = [
        [name, *(f"{_short(public[name].flop)} → {_short(ours[name].flop)}"
                 for ours, public in together)]
        for name in together[0][0]
        if any(public[name].flop for _, public in together)
    ]  # fmt: skip
    sums = [[both["together"].flop for both in one] for one in together]
    return markdown(
        header, [*lines, ["factor", *(f"**{public / ours:.1f}**" for ours, public in sums)]]
    )


def modes(size: str) -> str:
    """Each mode of SaSaSa2VA on a video of 480 x 854: ours and public, by the video's length."""
    cost = cost_of(size, "sasasa2va")
    lines = []
    # q_frame needs frames that somebody has selected.
    known = [mode for mode in MODES if mode != "q_frame"]
    for mode, length in product(known, MODE_LENGTHS):
        settings = Settings(procedure="sasasa2va", mode=mode)
        course = course_of(length, settings)
        clips = [(settings, Clip(length, MODE_SENTENCES, 480, 854))]
        both = cost.ours(clips, Limits()), cost.public(clips)
        flop = [f"{total(stages).flop / 1e12:,.0f}" for stages in both]
        counts = [str(number) for number in (length, course.prompts, course.tracked)]
        lines.append([f"`{mode}`", *counts, *flop])
    header = ["mode", "T", "decodes", "tracked", "ours, TFLOP", "public"]
    return markdown(header, lines)


def _short(flop: float) -> str:
    value = flop / 1e12
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
