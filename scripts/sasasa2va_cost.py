"""FLOP of each mode of SaSaSa2VA for one video, counted by torch on the meta device; no weights.

    python -m scripts.sasasa2va_cost --size Sa2VA-26B

Work is counted as a dry run counts it. The last column is what the plain way takes: each sentence
alone, 100 images and 100 decodes where a mode averages.
"""

import argparse
from collections.abc import Sequence

from scripts.benchmark.cost import cost_of
from submission.models.sa2va.course import course_of
from submission.models.sa2va.settings import Settings
from submission.models.workload import AtOnce, Clip, total

PROCEDURE = "sasasa2va"
MODES = ("uniform", "uniform_plus", "wrap_around", "wrap_around_plus")
LENGTHS = (60, 100, 150)
TERA = 1e12


def lines(size: str, sentences: int, modes: Sequence[str] = MODES) -> list[str]:
    """The table in Markdown."""
    cost = cost_of(size, PROCEDURE)
    said = [
        f"{size}, {sentences} sentences a video; TFLOP of the video:",
        "",
        "| mode | frames | decodes | tracked | ours | plain |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for mode in modes:
        settings = Settings(procedure=PROCEDURE, mode=mode)  # type: ignore[arg-type]
        for length in LENGTHS:
            course = course_of(length, settings)
            clips = [(settings, Clip(length, sentences, 480, 854))]
            ours, plain = (
                total(one).flop / TERA for one in (cost.ours(clips, AtOnce()), cost.public(clips))
            )
            said.append(
                f"| `{mode}` | {length} | {course.prompts} | {course.tracked} | {ours:,.0f} | "
                f"{plain:,.0f} |"
            )
    return said


def main() -> None:
    """Print the table of a size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="Sa2VA-26B", help="a size of scripts/benchmark/sizes.py")
    parser.add_argument("--sentences", type=int, default=8)
    arguments = parser.parse_args()
    print("\n".join(lines(arguments.size, arguments.sentences)))


if __name__ == "__main__":
    main()
