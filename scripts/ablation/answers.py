"""Answer a video in every setting, vote, and score: the kit's own way, with nothing written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from submission.dataset.frames import open_frames
from submission.dataset.ground_truth import GroundTruth
from submission.dataset.records import Split, Video
from submission.masks.track import Track
from submission.masks.voting import vote_tracks
from submission.models.sa2va.loading import load
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.settings import Settings
from submission.score.answers import InMemory
from submission.score.scoring import ExpressionScore, score_video


@dataclass(frozen=True)
class Setting:
    """One way to ask a checkpoint."""

    name: str
    settings: Settings


SETTINGS = (
    Setting("first 5", Settings(sampling="first")),
    Setting("uniform 3", Settings(frames=3)),
    Setting("uniform 5", Settings()),
    Setting("uniform 6", Settings(frames=6)),
    Setting("uniform 7", Settings(frames=7)),
    Setting("uniform 8", Settings(frames=8)),
    Setting("uniform 12", Settings(frames=12)),
    Setting("uniform 5, prompt on first 5", Settings(prompt_frames="first")),
    Setting("sa2va-i, uniform 5", Settings(procedure="sa2va-i")),
    Setting("sa2va-i, uniform 8", Settings(frames=8, procedure="sa2va-i")),
)
SECOND_SETTINGS = (
    Setting("uniform 8", Settings(frames=8)),
    Setting("uniform 11", Settings(frames=11)),
)
REFERENCE = "uniform 5"
SECOND = "second checkpoint, "  # before the settings that it is asked in
# Members of votes, of one checkpoint and of two: what is best alone on the split `choose` first.
ALONE = ("uniform 5", "uniform 6", "uniform 7", "uniform 8", "sa2va-i, uniform 5")
TOGETHER = (
    "uniform 5", f"{SECOND}uniform 11", "uniform 6", "uniform 7", f"{SECOND}uniform 8",
)  # fmt: skip
SIZES = (3, 5)  # of votes
RULES = ("majority", "paper")


class Judge:
    """One or two checkpoints that answer a video in every setting and vote, and are scored.

    It lives in a process of its own.
    """

    def __init__(self, folders: Sequence[Path], split: Split, truth: GroundTruth) -> None:
        import torch

        torch.set_num_threads(1)
        self.models = [load(folder, "cpu") for folder in folders]
        self.frames, self.truth = open_frames(split), truth

    def scores(self, video: Video) -> dict[str, list[ExpressionScore]]:
        """Return the scores of each result by its name."""
        return score_video(video, self.truth, self._results(video))

    def _results(self, video: Video) -> list[InMemory]:
        frames = self.frames.read(video)
        first, *second = self.models
        answers = {setting.name: _ask(first, frames, video, setting) for setting in SETTINGS}
        for model in second:
            answers |= {
                SECOND + setting.name: _ask(model, frames, video, setting)
                for setting in SECOND_SETTINGS
            }
        voted = {
            vote_name(members, rule): {
                expression.id: vote_tracks([answers[m][expression.id] for m in members], rule)
                for expression in video.expressions
            }
            for members in electorates(len(self.models))
            for rule in RULES
        }
        return [InMemory(name, tracks) for name, tracks in (answers | voted).items()]


def electorates(checkpoints: int) -> list[tuple[str, ...]]:
    """Return the members of each vote: results of one checkpoint, and then of both."""
    alone = [ALONE[:size] for size in SIZES]
    return alone if checkpoints == 1 else [*alone, *(TOGETHER[:size] for size in SIZES)]


def vote_name(members: Sequence[str], rule: str) -> str:
    """Return what a vote is called in the tables."""
    both = any(name.startswith(SECOND) for name in members)
    return f"vote of {len(members)}{' of both' if both else ''}, {rule}"


def _ask(model: Sa2VA, frames: np.ndarray, video: Video, setting: Setting) -> dict[str, Track]:
    answers = model.segment(
        frames, [expression.sentence for expression in video.expressions],
        replace(setting.settings, max_new_tokens=24),
    )  # fmt: skip
    return {
        expression.id: Track.encode(answer.masks[t] for t in range(len(frames)))
        for expression, answer in zip(video.expressions, answers, strict=True)
    }
