"""Time the public procedure and ours, in turn, in one process.

python -m scripts.benchmark --size small --sentences 1,4,16 --frames 40 --key-frames 5
python -m scripts.benchmark --size Sa2VA-8B --device cuda --height 720 --width 1280
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from scripts.benchmark.bench import DTYPES, ModelBench, Outcome
from scripts.benchmark.cases import Case
from scripts.benchmark.clips import clip_size
from scripts.benchmark.measure import Method
from scripts.benchmark.public_code import compare
from scripts.benchmark.sizes import NAMES, known_size
from scripts.benchmark.tables import CLOCKS, comparison, machine_line, peaks, stages, utilisation
from submission.errors import SubmissionError
from submission.models.sam2 import fixed_parts
from submission.models.sam2.attention_kernel import WANTED


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; return 0, or 2 when the call or its input is wrong."""
    arguments = parse(words)
    try:
        if arguments.public:
            print(against_public_code(arguments))
            return 0
        report(*run(arguments), arguments.clock)
    except SubmissionError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


def run(arguments: argparse.Namespace) -> tuple[Outcome, str]:
    """Measure the cases that the arguments name; return the rows and what is not in the table."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    cases = make_cases(arguments)
    method = Method(
        arguments.repeats, arguments.public_sentences, cpu_stages=arguments.clock == "cpu"
    )
    bench = ModelBench(arguments.device, arguments.dtype, method)
    outcome = bench.work_through(cases, say)
    return outcome, "\n".join(f"- left out: {line}" for line in outcome.skipped)


def against_public_code(arguments: argparse.Namespace) -> str:
    """A table of the public code itself against ours."""
    bench = ModelBench(arguments.device, arguments.dtype, Method(arguments.repeats))
    return compare(
        make_cases(arguments), bench, arguments.public, arguments.public_python, say
    )  # fmt: skip


def make_cases(arguments: argparse.Namespace) -> list[Case]:
    """The cases of a call. Raises InputError for a wrong clip."""
    height, width = arguments.height, arguments.width
    if arguments.clip:
        height, width = clip_size(arguments.clip)
    return [
        Case(
            arguments.size, arguments.frames, arguments.key_frames, count, height, width,
            arguments.procedure, clip=str(arguments.clip or ""), attention=arguments.attention,
            compile=arguments.compile,
        )
        for count in arguments.sentences
    ]  # fmt: skip


def report(outcome: Outcome, left_out: str, clock: str) -> None:
    """Print the tables of all rows."""
    if outcome.rows:
        print(f"{machine_line(outcome.rows[-1])}\n\n{comparison(outcome.rows, clock)}")
        last = outcome.rows[-1]
        print(f"\nSeconds per stage, E = {last['case']['sentences']}:\n\n{stages(last)}")
        if memory := peaks(outcome.rows):
            print(f"\n{memory}")
        if busy := utilisation(outcome.rows):
            print(f"\n{busy}")
    if left_out:
        print(f"\n{left_out}")


def say(text: str) -> None:
    """Progress goes to standard error: standard output is for results."""
    print(text, file=sys.stderr, flush=True)


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.benchmark", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    counts = lambda text: [int(part) for part in text.split(",")]  # noqa: E731
    parser.add_argument("--size", type=known_size, default="small", metavar="NAME[/LAYERS]",
                        help=f"one of {', '.join(NAMES)}; NAME/4 has four layers of true widths in "
                        "its vision encoder and language model, and a small SAM 2")  # fmt: skip
    parser.add_argument("--sentences", type=counts, default=[1, 4, 16], metavar="E,E,...")
    parser.add_argument("--frames", type=int, default=40, metavar="T")
    parser.add_argument("--key-frames", type=int, default=5, metavar="M")
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--clip", type=Path, metavar="FOLDER", help="pictures instead of noise")
    parser.add_argument("--procedure", choices=("sa2va", "sa2va-i"), default="sa2va")
    parser.add_argument("--attention", choices=WANTED, default="auto",
                        help="our kernel of memory attention on a GPU")  # fmt: skip
    parser.add_argument("--compile", choices=fixed_parts.WANTED, default="off",
                        help="parts: ours replays what has a fixed shape, on a GPU")  # fmt: skip
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", choices=("auto", *DTYPES), default="auto")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument(
        "--public-sentences",
        type=int,
        default=0,
        metavar="N",
        help="time the public loop on N sentences and multiply; 0: on all",
    )
    parser.add_argument("--public", type=Path, metavar="DIR",
                        help="a checkout of bytedance/Sa2VA: time its code itself")  # fmt: skip
    parser.add_argument("--public-python", default=sys.executable, metavar="PYTHON",
                        help="the interpreter of an environment with its versions")  # fmt: skip
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall",
                        help="cpu: seconds of all threads, for a machine that is busy")  # fmt: skip
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
