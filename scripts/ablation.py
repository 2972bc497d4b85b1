"""What sampling, procedure, wording and vote do, on clips that no checkpoint was trained on.

    python -m scripts.ablation CHECKPOINT [CHECKPOINT ...] [--split test] [--clips 200]

Every number is J&F of the kit's own scorer over the kit's own way (`submission.model.load` and
`segment`). In brackets: the 95 % interval of a bootstrap over clips, since the sentences of one
clip are not independent. The first checkpoint answers all settings; further ones join the votes.
"""

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.sample_data.sentences import Sentence
from scripts.sample_data.write_split import META, PLANS, draw_plan, write_split
from submission.dataset.frames import open_frames
from submission.dataset.ground_truth import GroundTruth, read_ground_truth
from submission.dataset.mevis import read_split
from submission.dataset.records import Expression, Split, Video
from submission.masks.track import Track
from submission.masks.voting import vote_tracks
from submission.model import Sa2VA, load
from submission.score.scoring import ExpressionScore, score_video
from submission.score.shape import Shape

DATA = Path("build/sample")
RESAMPLES, BOOTSTRAP_SEED = 2000, 0
LATE = ("starts late", "last", "stops")  # meanings that the beginning of a clip does not show
ROW = "{:<34} {:>5}  {}"


@dataclass(frozen=True)
class Setting:
    """One way to ask a checkpoint."""

    name: str
    sampling: str = "uniform"
    frames: int = 5
    procedure: str = "sa2va"
    prompt_frames: str = "sampled"


SETTINGS = (
    Setting("first 5", sampling="first"),
    Setting("uniform 3", frames=3),
    Setting("uniform 5"),
    Setting("uniform 8", frames=8),
    Setting("uniform 12", frames=12),
    Setting("uniform 5, prompt on first 5", prompt_frames="first"),
    Setting("sa2va-i, uniform 5", procedure="sa2va-i"),
    Setting("sa2va-i, uniform 8", frames=8, procedure="sa2va-i"),
)
REFERENCE = "uniform 5"
THREE = ("uniform 5", "uniform 8", "sa2va-i, uniform 8")
FIVE = (*THREE, "uniform 12", "sa2va-i, uniform 5")


@dataclass(frozen=True)
class InMemory:
    """A result that was never written: a track for every sentence of one video."""

    name: str
    tracks: Mapping[str, Track]  # by expression id

    def answer(self, video: Video, expression: Expression) -> "TrackShapes":
        """The masks of a sentence."""
        return TrackShapes(self.tracks[expression.id])


@dataclass(frozen=True)
class TrackShapes:
    """A track as the scorer reads it."""

    track: Track

    def shape(self, index: int) -> Shape:
        """The mask of a frame."""
        return Shape.of_counts([self.track.counts[index]], self.track.size)


class Judge:
    """Answers and scores one video in every setting and vote; lives in a process of its own."""

    def __init__(self, folders: Sequence[Path], split: Split, truth: GroundTruth) -> None:
        import torch

        torch.set_num_threads(1)
        self.models = {folder.name: load(folder, "cpu") for folder in folders}
        self.frames, self.truth = open_frames(split), truth

    def scores(self, video: Video) -> dict[str, list[ExpressionScore]]:
        """Return the scores of each result by its name."""
        return score_video(video, self.truth, self._results(video))

    def _results(self, video: Video) -> list[InMemory]:
        frames = self.frames.read(video)
        first, *others = (
            {setting.name: _ask(model, frames, video, setting) for setting in SETTINGS}
            for model in self.models.values()
        )
        results = [InMemory(name, tracks) for name, tracks in first.items()]
        results += [InMemory(f"second checkpoint, {REFERENCE}", o[REFERENCE]) for o in others[:1]]
        for names in (THREE, FIVE):
            members = [first[name] for name in names]
            members = [*members[: len(members) - len(others)], *(o[REFERENCE] for o in others)]
            for rule in ("majority", "paper"):
                voted = {
                    expression.id: vote_tracks([m[expression.id] for m in members], rule)
                    for expression in video.expressions
                }
                results.append(InMemory(f"vote of {len(members)}, {rule}", voted))
        return results


def _ask(model: Sa2VA, frames: np.ndarray, video: Video, setting: Setting) -> dict[str, Track]:
    answers = model.segment(
        frames, [expression.sentence for expression in video.expressions],
        procedure=setting.procedure, sampling=setting.sampling, num_frames=setting.frames,
        prompt_frames=setting.prompt_frames, max_new_tokens=24,
    )  # fmt: skip
    return {
        expression.id: Track.encode(answer.masks[t] for t in range(len(frames)))
        for expression, answer in zip(video.expressions, answers, strict=True)
    }


_judge: Judge | None = None  # of a worker process


def _prepare(folders: Sequence[Path], split: Split, truth: GroundTruth) -> None:
    global _judge
    _judge = Judge(folders, split, truth)


def _score(video: Video) -> dict[str, list[ExpressionScore]]:
    assert _judge is not None
    return _judge.scores(video)


# --- means and intervals -------------------------------------------------------------------------
Scored = tuple[ExpressionScore, Sentence]
Choice = Callable[[Scored], bool]


def mean_and_interval(
    clips: Sequence[Sequence[float]],
) -> tuple[float, float, float]:
    """Return the mean over all values and its 95 % interval when clips are drawn again."""
    sums = np.array([sum(values) for values in clips])
    counts = np.array([len(values) for values in clips])
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = rng.integers(len(clips), size=(RESAMPLES, len(clips)))
    means = sums[drawn].sum(axis=1) / np.maximum(counts[drawn].sum(axis=1), 1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(sums.sum() / counts.sum()), float(low), float(high)


def j_and_f(scored: Scored) -> float:
    """J&F of one sentence."""
    return (scored[0].j + scored[0].f) / 2


def is_right(scored: Scored) -> float:
    """Whether emptiness is right: what N-acc and T-acc count."""
    return float(scored[0].answers_rightly)


def has_target(scored: Scored) -> bool:
    return bool(scored[1].targets)


def is_late(scored: Scored) -> bool:
    return has_target(scored) and scored[1].meaning.startswith(LATE)


GROUPS: tuple[tuple[str, Choice, Callable[[Scored], float]], ...] = (
    ("all with a target", has_target, j_and_f),
    ("late or stopping", is_late, j_and_f),
    ("known wording", lambda s: has_target(s) and not s[1].is_held_out, j_and_f),
    ("held-out wording", lambda s: has_target(s) and s[1].is_held_out, j_and_f),
    ("N-acc", lambda s: not has_target(s), is_right),
    ("T-acc", has_target, is_right),
)


def table(
    scores: Mapping[str, Sequence[Sequence[Scored]]], groups: Sequence[str] = ()
) -> Iterator[str]:
    """Yield the lines of a Markdown table: a row for each result, a column for each group."""
    chosen = [group for group in GROUPS if not groups or group[0] in groups]
    yield "| | " + " | ".join(name for name, _, _ in chosen) + " |"
    yield "|---|" + "---|" * len(chosen)
    for result, clips in scores.items():
        cells = []
        for _, choice, value in chosen:
            values = [[value(one) for one in clip if choice(one)] for clip in clips]
            if not any(values):
                cells.append("no sentence")
                continue
            cells.append("{:.3f} [{:.3f}, {:.3f}]".format(*mean_and_interval(values)))
        yield f"| {result} | " + " | ".join(cells) + " |"


def by_meaning(scores: Mapping[str, Sequence[Sequence[Scored]]], names: Sequence[str]) -> str:
    """Return a table of J&F by meaning, for a few results."""
    known = [name for name in names if name in scores]
    meanings = sorted({s.meaning for clip in scores[known[0]] for _, s in clip if s.targets})
    lines = ["| meaning (sentences) | " + " | ".join(known) + " |", "|---|" + "---|" * len(known)]
    for meaning in meanings:
        columns = [
            [j_and_f(one) for clip in scores[name] for one in clip
             if has_target(one) and one[1].meaning == meaning]
            for name in known
        ]  # fmt: skip
        means = " | ".join(f"{np.mean(column):.3f}" for column in columns)
        lines.append(f"| {meaning} ({len(columns[0])}) | {means} |")
    return "\n".join(lines)


def difference(scores: Mapping[str, Sequence[Sequence[Scored]]], one: str, other: str) -> str:
    """Say by how much one result is better than another, sentence by sentence."""
    clips = [
        [j_and_f(a) - j_and_f(b) for a, b in zip(first, second, strict=True) if has_target(a)]
        for first, second in zip(scores[one], scores[other], strict=True)
    ]
    return "{:+.3f} [{:+.3f}, {:+.3f}]".format(*mean_and_interval(clips))


def main() -> int:
    """Answer, score and print; return 0, or 2 where there is no checkpoint to ask."""
    parser = argparse.ArgumentParser(prog="python -m scripts.ablation")
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--split", choices=("choose", "test", "long"), default="test")
    parser.add_argument("--data", type=Path, default=DATA, help=f"made where missing ({DATA})")
    parser.add_argument("--clips", type=int, help="only so many, drawn at random")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
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
    report(scores, f"{plan.folder}, {len(videos)} clips")
    return 0


def report(scores: Mapping[str, Sequence[Sequence[Scored]]], where: str) -> None:
    """Print all tables."""
    count = sum(len(clip) for clip in next(iter(scores.values())))
    print(f"J&F on {where}, {count} sentences; mean [95 % interval over clips]\n")
    print("\n".join(table(scores)))
    singles = [setting.name for setting in SETTINGS]
    best = max(singles, key=lambda name: np.mean([j_and_f(o) for c in scores[name] for o in c]))
    print(f"\n{REFERENCE} minus first 5: {difference(scores, REFERENCE, 'first 5')}")
    for name in scores:
        if name.startswith("vote"):
            print(f"{name} minus the best member ({best}): {difference(scores, name, best)}")
    print("\n" + by_meaning(scores, ("first 5", REFERENCE, "sa2va-i, uniform 5")))


if __name__ == "__main__":
    sys.exit(main())
