"""What sampling, procedure, wording and vote do, on clips that no checkpoint was trained on.

    python -m scripts.ablation CHECKPOINT [SECOND] [--split test] [--clips 200]

Every number is J&F of the kit's own scorer over the kit's own way (`submission.models.load` and
`segment`). In brackets: the 95 % interval of a bootstrap over clips, since the sentences of one
clip are not independent. The first checkpoint answers all settings; a second one joins the votes.
"""

import argparse
import random
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from scripts.ablation.answers import REFERENCE, RULES, Judge, electorates, vote_name
from scripts.ablation.tables import Scored, by_meaning, difference, has_target, j_and_f, table
from scripts.sample_data.write_split import META, PLANS, draw_plan, write_split
from submission.dataset.ground_truth import GroundTruth, read_ground_truth
from submission.dataset.mevis import read_split
from submission.dataset.records import Split, Video
from submission.score.scoring import ExpressionScore

DATA = Path("build/sample")

_judge: Judge | None = None  # of a worker process


def _prepare(folders: Sequence[Path], split: Split, truth: GroundTruth) -> None:
    global _judge
    _judge = Judge(folders, split, truth)


def _score(video: Video) -> dict[str, list[ExpressionScore]]:
    assert _judge is not None
    return _judge.scores(video)


def main() -> int:
    """Answer, score and print; return 0, or 2 where there is no checkpoint to ask."""
    parser = argparse.ArgumentParser(prog="python -m scripts.ablation")
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--split", choices=("choose", "test", "long"), default="test")
    parser.add_argument("--data", type=Path, default=DATA, help=f"made where missing ({DATA})")
    parser.add_argument("--clips", type=int, help="only so many, drawn at random")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    if len(arguments.checkpoints) > 2:
        parser.error("one checkpoint or two")
    for folder in arguments.checkpoints:
        if not (folder / "config.json").is_file():
            print(f"{folder}: no checkpoint; 'make small-model' trains one into build/small",
                  file=sys.stderr)  # fmt: skip
            return 2
    plan = PLANS[arguments.split]
    if not (arguments.data / plan.folder / META).is_file():
        write_split(arguments.data / plan.folder, draw_plan(plan))
    split = read_split(arguments.data, plan.folder)
    videos = list(split.videos)
    if arguments.clips:
        videos = random.Random(0).sample(videos, min(arguments.clips, len(videos)))
    said = {clip.name: clip.sentences for clip in draw_plan(plan)}
    scores: dict[str, list[list[Scored]]] = {}
    settings = (arguments.checkpoints, split, read_ground_truth(split))
    with ProcessPoolExecutor(arguments.processes, initializer=_prepare, initargs=settings) as pool:
        for number, (video, parts) in enumerate(zip(videos, pool.map(_score, videos), strict=True)):
            for name, own in parts.items():
                pairs = list(zip(own, said[video.name], strict=True))
                scores.setdefault(name, []).append(pairs)
            print(f"\r{number + 1} of {len(videos)} clips", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    report(scores, f"{plan.folder}, {len(videos)} clips", len(arguments.checkpoints))
    return 0


def mean_with_target(clips: Sequence[Sequence[Scored]]) -> float:
    """Mean J&F over the sentences that mean something."""
    return float(np.mean([j_and_f(one) for clip in clips for one in clip if has_target(one)]))


def report(scores: Mapping[str, Sequence[Sequence[Scored]]], where: str, checkpoints: int) -> None:
    """Print all tables."""
    count = sum(len(clip) for clip in next(iter(scores.values())))
    print(f"J&F on {where}, {count} sentences; mean [95 % interval over clips]\n")
    print("\n".join(table(scores)))
    print(f"\n{REFERENCE} minus first 5: {difference(scores, REFERENCE, 'first 5')}")
    for members in electorates(checkpoints):
        best = max(members, key=lambda name: mean_with_target(scores[name]))
        for rule in RULES:
            name = vote_name(members, rule)
            print(f"{name} minus its best member ({best}): {difference(scores, name, best)}")
    print("\n" + by_meaning(scores, ("first 5", REFERENCE, "sa2va-i, uniform 5")))


if __name__ == "__main__":
    sys.exit(main())
