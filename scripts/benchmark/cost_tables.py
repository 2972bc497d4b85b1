"""Print the tables of docs/cost.md: work, time and memory of released sizes on MeViS valid.

python -m scripts.benchmark.cost_tables            print them
python -m scripts.benchmark.cost_tables --write    put them into docs/cost.md
"""

import argparse
from collections.abc import Sequence
from functools import cache, partial
from itertools import product
from pathlib import Path

from scripts.benchmark.cost import cost_of
from scripts.benchmark.tables import markdown
from submission.cost.estimate import Seconds, seconds_of, seconds_of_all
from submission.cost.fitting import fit
from submission.cost.hardware import SHOWN, Gpu, find_gpu
from submission.cost.lines import duration, flop_in_words
from submission.experts.sa2va.cost import Cost
from submission.files.whole import write_bytes
from submission.models.sa2va.memory import ALLOWANCE, Peak, peak_memory
from submission.models.sa2va.settings import Settings
from submission.models.workload import Clip, Limits, Stages, sum_stages, total

DOCUMENT = Path(__file__).parents[2] / "docs/cost.md"
BEGIN, END = (
    "<!-- tables: python -m scripts.benchmark.cost_tables --write -->\n",
    "<!-- end of tables -->\n",
)

# MeViS valid: 140 videos, 2,236 sentences, about 79 frames each; 720p stands for its many sizes.
LARGER, SMALLER = Clip(79, 16, 720, 1280), Clip(79, 15, 720, 1280)
VALID = [LARGER] * 136 + [SMALLER] * 4
CHECKPOINTS = ("Sa2VA-1B", "Sa2VA-4B", "Sa2VA-8B", "Sa2VA-26B", "Sa2VA-i-26B")
KEY_FRAMES = (5, 12, 20)
BY_STAGE = ("Sa2VA-26B", 20)
PROMISED = (("Sa2VA-26B", 20, 80e9), ("Sa2VA-8B", 20, 24e9), ("Sa2VA-1B", 5, 8e9))
FULL_HD = Clip(79, 16, 1080, 1920)

Table = tuple[Sequence[str], list[Sequence[str]]]  # header, and the lines below it


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="put the tables into docs/cost.md")
    arguments = parser.parse_args()
    if arguments.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        after = rest.partition(END)[2]
        write_bytes(DOCUMENT, f"{before}{BEGIN}{tables()}{END}{after}".encode())
    else:
        print(tables())


def tables() -> str:
    """All tables in Markdown."""
    return "\n".join(
        [
            "**Work and time of one pass over MeViS valid**, ours, expected (at best):\n",
            markdown(*_pass_rows()),
            f"\n**By stage**, {BY_STAGE[0]} with {BY_STAGE[1]} key frames; seconds on an H200:\n",
            markdown(*_stage_rows()),
            "\n**Peak memory at 1080p**, 79 frames, 16 sentences, bfloat16, in GB:\n",
            markdown(*_memory_rows()),
            "",
        ]
    )


def _pass_rows() -> Table:
    gpus = [_gpu(name) for name in SHOWN]
    rows: list[Sequence[str]] = []
    for name, frames in product(CHECKPOINTS, KEY_FRAMES):
        mine, theirs = _stages(name, frames)
        ours, public = total(mine).flop, total(theirs).flop
        work = [flop_in_words(ours), flop_in_words(public), f"{public / ours:.1f}"]
        cells = [_cell(name, frames, gpu, mine) for gpu in gpus]
        rows.append([name, str(frames), *work, *cells])
    return ["checkpoint", "M", "ours", "public", "factor", *SHOWN], rows


def _cell(name: str, frames: int, gpu: Gpu, stages: Stages) -> str:
    if _fitting(name, frames, LARGER, gpu.memory) is None:
        return "does not fit"
    taken = seconds_of_all(stages, gpu, "bfloat16")
    return f"{duration(taken.expected)} ({duration(taken.at_best)})"


def _stage_rows() -> Table:
    mine, theirs = _stages(*BY_STAGE)
    gpu = _gpu("H200")
    rows: list[Sequence[str]] = []
    for stage, work in mine.items():
        taken, slow = (seconds_of(stage, one[stage], gpu, "bfloat16") for one in (mine, theirs))
        share = f"{work.flop / total(mine).flop:.1%}"
        rows.append(_stage_row(stage, work.flop, share, theirs[stage].flop, taken, slow))
    taken, slow = (seconds_of_all(one, gpu, "bfloat16") for one in (mine, theirs))
    rows.append(_stage_row("all", total(mine).flop, "", total(theirs).flop, taken, slow))
    return ["stage", "ours", "share", "public", "at best", "expected", "public, expected"], rows


def _stage_row(
    name: str, flop: float, share: str, public_flop: float, taken: Seconds, slow: Seconds
) -> Sequence[str]:
    times = [f"{value:.0f}" for value in (taken.at_best, taken.expected, slow.expected)]
    return [name, flop_in_words(flop), share, flop_in_words(public_flop), *times]


def _memory_rows() -> Table:
    header = [
        "checkpoint", "M", "GPU", "objects, images at once", "weights", "memory of objects",
        "features", "activations", "allowance", "peak",
    ]  # fmt: skip
    rows: list[Sequence[str]] = []
    for name, frames, memory in PROMISED:
        limits = _fitting(name, frames, FULL_HD, memory)
        assert limits is not None
        peak = _peak(name, frames, FULL_HD, memory, limits)
        parts = (peak.weights, peak.kept, peak.features, peak.activations, ALLOWANCE)
        rows.append(
            [
                name, str(frames), f"{memory / 1e9:.0f}",
                f"{limits.objects_at_once}, {limits.images_at_once}",
                *(f"{part / 1e9:.1f}" for part in (*parts, peak.total)),
            ]
        )  # fmt: skip
    return header, rows


@cache
def _stages(name: str, frames: int) -> tuple[Stages, Stages]:
    cost, settings = _cost(name), _settings(name, frames)
    clips = [[(settings, clip)] for clip in VALID]
    mine = sum_stages(cost.ours(one, Limits()) for one in clips)
    return mine, sum_stages(cost.public(one) for one in clips)


def _settings(name: str, frames: int) -> Settings:
    return Settings(frames=frames, procedure="sa2va-i" if "-i-" in name else "sa2va")


def _cost(name: str) -> Cost:
    return cost_of(name, _settings(name, 1).procedure)


def _gpu(name: str) -> Gpu:
    gpu = find_gpu(name)
    assert gpu is not None
    return gpu


def _peak(name: str, frames: int, clip: Clip, memory: float, limits: Limits) -> Peak:
    cost, settings = _cost(name), _settings(name, frames)
    weights = cost.weights(value_bytes=2)
    return peak_memory(cost.sizes, weights, clip, settings, limits, gpu_bytes=memory)


def _fitting(name: str, frames: int, clip: Clip, memory: float) -> Limits | None:
    need = partial(_peak, name, frames, clip, memory)
    return fit([lambda limits: need(limits).total], Limits(), memory)


if __name__ == "__main__":
    main()
