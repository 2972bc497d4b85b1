"""What the named approximations cost in masks and bring in time, as a table in Markdown.

python -m scripts.ablation.approximations                       # the sample that comes along
python -m scripts.ablation.approximations --frames 12 --videos 3

Seconds are of the processor, of the model alone; on a machine that does other work, too, compare
them within one table only. The small checkpoint says how masks react, not how much time a released
size would save: there, memory attention weighs more.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from submission.dataset.frames import open_frames
from submission.dataset.ground_truth import GroundTruth, read_ground_truth
from submission.dataset.mevis import read_split
from submission.dataset.records import Video
from submission.masks.track import Track
from submission.models.sa2va.answer import Answer
from submission.models.sa2va.loading import load
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.settings import Settings
from submission.models.sam2.approximation import Approximation
from submission.score.answers import InMemory
from submission.score.scoring import ExpressionScore, Score, score_video

SAMPLES = Path(__file__).parents[2] / "submission" / "samples"
EXACT = "exact"
SETTINGS = {  # how the language model's weights are kept, and what tracked frames see
    EXACT: ("none", Approximation()),
    "nearest_prompts = 4": ("none", Approximation(nearest_prompts=4)),
    "nearest_prompts = 2": ("none", Approximation(nearest_prompts=2)),
    "nearest_prompts = 1": ("none", Approximation(nearest_prompts=1)),
    "memory_stride = 2": ("none", Approximation(memory_stride=2)),
    "memory_stride = 3": ("none", Approximation(memory_stride=3)),
    "memory_stride = 6": ("none", Approximation(memory_stride=6)),
    "nearest_prompts = 4, memory_stride = 2": ("none", Approximation(4, 2)),
    'quantize = "int8"': ("int8", Approximation()),
}


@dataclass
class Tally:
    """What one setting gave so far."""

    seconds: float = 0.0
    texts: int = 0  # answers whose text is another one than the exact one
    others: int = 0  # pixels that are not as in the exact masks
    pixels: int = 0
    scores: list[ExpressionScore] = field(default_factory=list)

    def add(
        self, seconds: float, answers: Sequence[Answer], exact: Sequence[Answer],
        scores: list[ExpressionScore],
    ) -> None:  # fmt: skip
        """Count one video, whose `exact` answers are there beside those of the setting."""
        self.seconds += seconds
        self.scores += scores
        for one, other in zip(answers, exact, strict=True):
            masks = np.asarray(one.masks)
            self.texts += one.text != other.text
            self.others += int(np.count_nonzero(masks != np.asarray(other.masks)))
            self.pixels += masks.size

    @property
    def j_and_f(self) -> float:
        """Mean over the sentences, in percent."""
        return 100 * Score(tuple(self.scores)).means()["J&F"]


def main() -> None:
    """Answer every video in every setting in turn, and print the table."""
    arguments = _parse()
    torch.set_num_threads(1)
    split = read_split(arguments.data, arguments.split)
    frames, truth = open_frames(split), read_ground_truth(split)
    models = {how: load(arguments.checkpoint, "cpu", quantize=how) for how in ("none", "int8")}
    tallies = {name: Tally() for name in SETTINGS}
    for video in split.videos[: arguments.videos]:
        exact: Sequence[Answer] = ()
        for name, answers, seconds in _ask(models, frames.read(video), video, arguments.frames):
            exact = exact or answers
            tallies[name].add(seconds, answers, exact, _judge(video, truth, answers))
    print("\n".join(_lines(tallies)))


def _ask(
    models: Mapping[str, Sa2VA], frames: np.ndarray, video: Video, num_frames: int
) -> Iterator[tuple[str, Sequence[Answer], float]]:
    """Name, answers and seconds of each setting, the exact one first."""
    sentences = [expression.sentence for expression in video.expressions]
    for name, (quantize, approximation) in SETTINGS.items():
        started = time.process_time()
        answers = models[quantize].segment(
            frames, sentences, Settings(frames=num_frames, **vars(approximation))
        )
        yield name, answers, time.process_time() - started


def _judge(video: Video, truth: GroundTruth, answers: Sequence[Answer]) -> list[ExpressionScore]:
    tracks = {
        expression.id: Track.encode(answer.masks[time] for time in range(len(video.frame_names)))
        for expression, answer in zip(video.expressions, answers, strict=True)
    }
    return score_video(video, truth, [InMemory("it", tracks)])["it"]


def _lines(tallies: dict[str, Tally]) -> Iterator[str]:
    exact = tallies[EXACT]
    yield "| setting | J&F | difference | other texts | other pixels in a million | seconds |"
    yield "|---|---|---|---|---|---|"
    for name, tally in tallies.items():
        yield (
            f"| {name} | {tally.j_and_f:.2f} | {tally.j_and_f - exact.j_and_f:+.2f} "
            f"| {tally.texts} of {len(tally.scores)} | {1e6 * tally.others / tally.pixels:.1f} "
            f"| {tally.seconds:.1f} |"
        )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, default=SAMPLES / "small-5")
    parser.add_argument("--data", type=Path, default=SAMPLES / "mevis")
    parser.add_argument("--split", default="valid_u")
    parser.add_argument("--frames", type=int, default=8, help="key frames")
    parser.add_argument("--videos", type=int, help="only the first so many")
    return parser.parse_args()


if __name__ == "__main__":
    main()
