"""Score a result against the ground truth of its split: J, F, J&F, and N-acc and T-acc of v2.

Strict where the public script is lenient: a sentence or frame that is missing, or has another
size than the video, counts 0 and is named. Leaving it out of the mean would raise the score.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from submission.dataset.records import Expression, Split, Video
from submission.errors import Fault
from submission.score.region_and_boundary import boundary_accuracy, region_similarity
from submission.whole_files import write_json

Mask = NDArray[np.bool_]
Frames = Mask | Sequence[Mask | None]  # of one sentence: bool (T, H, W), or (H, W) with gaps

CONVENTIONS = {
    "values": "0 to 1",
    "J": "intersection over union of a frame; 1 where both are empty",
    "F": "boundary F of a frame within ceil(0.008 x diagonal) pixels; "
    "1 where neither mask has a boundary, 0 where exactly one has",
    "mean": "over all frames of a sentence, first and last included; then over sentences",
    "missing": "a missing sentence or frame, or one of another size, counts 0",
    "N-acc": "share of no-target sentences answered by empty masks in every frame",
    "T-acc": "share of sentences with targets answered by a mask in any frame",
    "Final": "mean of J&F over all sentences, N-acc and T-acc",
}


class GroundTruth(Protocol):
    """What scoring asks of a ground truth."""

    def masks(self, video: Video, expression: Expression) -> Mask:
        """Return the true masks of a sentence, bool (T, H, W)."""


@dataclass(frozen=True)
class ExpressionScore:
    """J and F of one sentence (means over its frames), and what N-acc and T-acc ask."""

    video: str
    expression: str
    j: float
    f: float
    has_target: bool  # the sentence means at least one object
    answered: bool  # every frame is there
    found_any: bool  # any mask has foreground

    @property
    def answers_rightly(self) -> bool:
        """Whether emptiness is right: no foreground without a target, some with one."""
        return self.answered and self.found_any == self.has_target


@dataclass(frozen=True)
class Score:
    """The scores of all sentences of a split, in its order, and what was missing."""

    expressions: tuple[ExpressionScore, ...]
    missing: tuple[Fault, ...]

    def means(self) -> dict[str, float]:
        """Return the numbers of the leaderboard, 0..1; those of v2 where it has its sentences."""
        means = _means(self.expressions)
        without = [score for score in self.expressions if not score.has_target]
        if not without:
            return means
        targets = [score for score in self.expressions if score.has_target]
        accuracies = {"N-acc": _share_right(without), "T-acc": _share_right(targets)}
        over_targets = {f"{name} (targets)": value for name, value in _means(targets).items()}
        final = (means["J&F"] + accuracies["N-acc"] + accuracies["T-acc"]) / 3
        return {**means, **over_targets, **accuracies, "Final": final}


def score(
    split: Split,
    truth: GroundTruth,
    predictions: Iterable[tuple[Video, Expression, Frames | None]],
    on_expression: Callable[[], None] | None = None,
) -> Score:
    """Score predictions that come in any order; None, for a sentence or a frame, means missing.

    `predictions` yields masks as bool (T, H, W), or one (H, W) or None for each frame, so that a
    whole split is never in memory. `on_expression` is called after each. Raises ValueError when
    a sentence comes twice or does not belong to the split, which is a mistake of the caller.
    """
    wanted = [(video, expression) for video in split.videos for expression in video.expressions]
    scores: dict[tuple[str, str], ExpressionScore] = {}
    faults: dict[tuple[str, str], list[Fault]] = {
        (video.name, expression.id): [Fault(_name(video, expression), "the sentence is missing")]
        for video, expression in wanted
    }
    for video, expression, frames in predictions:
        key = (video.name, expression.id)
        if key in scores or key not in faults:
            raise ValueError(f"{_name(video, expression)} came twice or is not in the split")
        if frames is not None:
            faults[key] = []
        masks = truth.masks(video, expression)
        scores[key] = _score_expression(video, expression, frames, masks, faults[key])
        if on_expression:
            on_expression()
    for video, expression in wanted:
        if (video.name, expression.id) not in scores:
            scores[video.name, expression.id] = _missing(video, expression)
    order = [(video.name, expression.id) for video, expression in wanted]
    return Score(
        tuple(scores[key] for key in order), tuple(fault for key in order for fault in faults[key])
    )


def write_score(path: Path, split_name: str, results: Mapping[str, Score]) -> None:
    """Write score.json: the means and every sentence of each named result, with the conventions.

    Values are 0..1. "missing" lists what counted 0 because it was not there, result by result.
    """
    write_json(
        path,
        {
            "split": split_name,
            "conventions": CONVENTIONS,
            "results": {name: _as_json(result) for name, result in results.items()},
            "missing": [
                {"result": name, "where": fault.where, "what": fault.what}
                for name, result in results.items()
                for fault in result.missing
            ],
        },
    )


def _score_expression(
    video: Video, expression: Expression, frames: Frames | None, truth: Mask, faults: list[Fault]
) -> ExpressionScore:
    has_target = _has_target(expression)
    if frames is None:
        return _missing(video, expression)
    pred, present = _complete(video, expression, frames, faults)
    return ExpressionScore(
        video.name,
        expression.id,
        j=float((region_similarity(pred, truth) * present).mean()),
        f=float((boundary_accuracy(pred, truth) * present).mean()),
        has_target=has_target,
        answered=bool(present.all()),
        found_any=bool(pred.any()),
    )


def _complete(
    video: Video, expression: Expression, frames: Frames, faults: list[Fault]
) -> tuple[Mask, Mask]:
    # Masks (T, H, W), empty where a frame is missing or has another size, and which are present.
    num_frames = len(video.frame_names)
    whole_shape = (num_frames, *video.size)
    if isinstance(frames, np.ndarray) and frames.shape == whole_shape:
        return frames, np.ones(num_frames, bool)
    if len(frames) > num_frames:
        faults.append(
            Fault(_name(video, expression), f"{len(frames)} frames, and the video has {num_frames}")
        )
    masks, present = np.zeros(whole_shape, bool), np.zeros(num_frames, bool)
    for index, frame_name in enumerate(video.frame_names):
        frame = frames[index] if index < len(frames) else None
        where = f"{_name(video, expression)}/{frame_name}"
        if frame is None:
            faults.append(Fault(where, "the frame is missing"))
        elif frame.shape != video.size:
            faults.append(Fault(where, f"size {frame.shape}, and the video has {video.size}"))
        else:
            masks[index], present[index] = frame, True
    return masks, present


def _missing(video: Video, expression: Expression) -> ExpressionScore:
    return ExpressionScore(
        video.name, expression.id, 0.0, 0.0, _has_target(expression), False, False
    )


def _has_target(expression: Expression) -> bool:
    return expression.annotation_ids != ()


def _name(video: Video, expression: Expression) -> str:
    return f"{video.name}/{expression.id}"


def _means(scores: Sequence[ExpressionScore]) -> dict[str, float]:
    j = float(np.mean([score.j for score in scores])) if scores else 0.0
    f = float(np.mean([score.f for score in scores])) if scores else 0.0
    return {"J": j, "F": f, "J&F": (j + f) / 2}


def _share_right(scores: Sequence[ExpressionScore]) -> float:
    return sum(score.answers_rightly for score in scores) / len(scores) if scores else 0.0


def _as_json(result: Score) -> dict[str, Any]:
    return {
        **result.means(),
        "expressions": {
            f"{score.video}/{score.expression}": {"J": score.j, "F": score.f}
            for score in result.expressions
        },
    }
