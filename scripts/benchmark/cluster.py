"""How well the driver's loop keeps workers busy: valid's videos on 1 to 64 simulated workers.

    python -m scripts.benchmark.cluster [--out build/cluster.md]

The loop is the real one (cluster/dispatcher.py); workers only take time. A video takes what a
measured GPU takes for its frames and sentences, with some chance, and comes back expert by expert;
a worker loads its model first, and again after each loss. Lengths and numbers of sentences are
drawn to add up to those of MeViS valid: 140 videos, 11,000 frames, 2,236 sentences.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from scripts.benchmark.simulated_crew import SimulatedCrew
from submission.cluster.crew import Answered
from submission.cluster.dispatcher import Dispatcher, Patience
from submission.cluster.queue import Task

VIDEOS, FRAMES, SENTENCES = 140, 11_000, 2_236  # of MeViS valid
SHORTEST, LONGEST = 20, 200  # frames of a video, as the data set describes them
MOST_SENTENCES = 70  # of one video
WORKERS = (1, 2, 4, 8, 16, 32, 64)
LOADING = 40.0  # seconds until a worker is ready: processes, weights from a disk, first kernels
OVERHEAD = 0.05  # seconds of a video that are Ray's and ours
SEEDS = 5


@dataclass(frozen=True)
class Clip:
    """One video of the split."""

    frames: int
    sentences: int

    @property
    def masks(self) -> int:
        """What the queue sorts by."""
        return self.frames * self.sentences


@dataclass(frozen=True)
class Cost:
    """Seconds of an expert over a video.

    Together they are what Sa2VA-8B with 5 key frames took on one H200 for 80 frames and 16
    sentences, 3.0 s, divided as its kernels were (docs/performance.md).
    """

    frame: float = 0.008  # SAM 2's image encoder, once for all experts
    sentence: float = 0.0125  # the language model
    mask: float = 0.0017  # tracking
    spread: float = 0.1  # standard deviation of the whole, as a share

    def seconds(self, clip: Clip, experts: int) -> float:
        """What `experts` of one image encoder take for a video."""
        one = self.sentence * clip.sentences + self.mask * clip.masks
        return self.frame * clip.frames + experts * one


def draw_split(seed: int) -> list[Clip]:
    """Draw videos whose numbers of frames and sentences add up to those of MeViS valid."""
    chance = random.Random(seed)
    frames = _scaled([chance.lognormvariate(0, 0.45) for _ in range(VIDEOS)], FRAMES,
                     SHORTEST, LONGEST)  # fmt: skip
    sentences = _scaled([chance.lognormvariate(0, 0.6) for _ in range(VIDEOS)], SENTENCES, 1,
                        MOST_SENTENCES)  # fmt: skip
    return [Clip(*pair) for pair in zip(frames, sentences, strict=True)]


def _scaled(values: Sequence[float], total: int, least: int, most: int) -> list[int]:
    """Whole numbers between bounds in the proportion of values, that add up to a total."""
    low, high = 0.0, 10.0 * total
    for _ in range(60):
        factor = (low + high) / 2
        numbers = [min(most, max(least, round(value * factor))) for value in values]
        low, high = (factor, high) if sum(numbers) < total else (low, factor)
    return numbers


@dataclass(frozen=True)
class Result:
    """A simulated run."""

    workers: int
    seconds: float  # from the first worker's start to the last answer
    efficiency: float  # work of all videos over workers x seconds, loading left out
    with_loading: float  # the same, loading counted as time lost
    tail: float  # seconds from the first worker that runs dry to the last answer
    bound: float  # the best that any order could have: the work, or the longest video
    lost: int  # workers
    given_up: int  # videos


def simulate(
    clips: Sequence[Clip], workers: int, experts: int, seed: int, *, losses_each_minute: float = 0,
    cost: Cost | None = None,
) -> Result:  # fmt: skip
    """Run the driver's loop over workers that only take time."""
    cost, chance = cost or Cost(), random.Random(seed)
    took = {
        str(n): cost.seconds(clip, experts) * max(0.5, chance.gauss(1, cost.spread)) + OVERHEAD
        for n, clip in enumerate(clips)
    }
    names = [f"w{number}" for number in range(workers)]
    crew = SimulatedCrew(
        [0.0] * workers, lambda worker, task: took[task.name], start=LOADING,
        losses=_losses(chance, names, losses_each_minute, 20 * sum(took.values()) + 3600),
        parts=experts,
    )  # fmt: skip
    dispatcher = Dispatcher(crew, lambda facts: "", lambda words: None, Patience())
    tasks = [Task(str(n), clip.masks) for n, clip in enumerate(clips)]
    free: dict[str, float] = {}
    answered = 0
    for ended in dispatcher.work_through(tasks):
        if isinstance(ended, Answered):
            answered += 1
            free[ended.worker] = crew.now()
    total, seconds = sum(took.values()), crew.now()
    working = seconds - LOADING
    dry = min(free.values()) if len(free) == workers else LOADING
    return Result(
        workers, seconds, total / (workers * working), total / (workers * seconds), seconds - dry,
        total / (workers * max(total / workers, max(took.values()))),
        len(dispatcher.tally.lost), len(clips) - answered,
    )  # fmt: skip


def _losses(
    chance: random.Random, names: Sequence[str], each_minute: float, until: float
) -> Iterator[tuple[float, str]]:
    at = 0.0
    while each_minute and (at := at + chance.expovariate(each_minute / 60)) < until:
        yield at, chance.choice(names)


def table(experts: int, losses_each_minute: float = 0) -> list[str]:
    """One row for each number of workers, means over some draws of the split."""
    rows = [
        "| workers | minutes | efficiency | with loading | longest video allows | tail, s "
        "| lost | given up |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for workers in WORKERS:
        if losses_each_minute and workers == 1:
            continue  # it would be lost each minute, and takes two thirds of one to load
        runs = [
            simulate(
                draw_split(seed), workers, experts, seed, losses_each_minute=losses_each_minute
            )
            for seed in range(SEEDS)
        ]
        mean = {name: fmean(getattr(run, name) for run in runs) for name in vars(runs[0])}
        rows.append(
            f"| {workers} | {mean['seconds'] / 60:.1f} | {mean['efficiency']:.1%} "
            f"| {mean['with_loading']:.1%} | {mean['bound']:.1%} | {mean['tail']:.0f} "
            f"| {mean['lost']:.1f} | {mean['given_up']:.1f} |"
        )
    return rows


def main() -> None:
    """Print the tables, or write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experts", type=int, default=20, help="of one image encoder (M)")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = [f"M = {arguments.experts} experts, nobody is lost:", "", *table(arguments.experts)]
    lines += ["", "A worker is lost each minute:", "", *table(arguments.experts, 1.0)]
    text = "\n".join(lines) + "\n"
    if arguments.out:
        arguments.out.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
