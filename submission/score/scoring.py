"""Score results against the ground truth of their split: J, F, J&F, and N-acc and T-acc of v2.

Strict where the public script is lenient: a sentence or frame that is missing, damaged, or of
another size than the video, counts 0 and is named. Leaving it out of the mean would raise the
score; `Score.as_official` does so, to show by how much.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from submission.counted import counted
from submission.dataset.records import Expression, Split, Video
from submission.errors import Fault
from submission.masks.label_runs import Windows
from submission.masks.track import Track
from submission.score.mask_window import Shape
from submission.score.region_and_boundary import default_tolerance, frame_f, frame_j


@dataclass(frozen=True)
class Gap:
    """Why a frame, or a whole sentence, has no mask that could count."""

    what: str
    is_missing: bool = False  # nothing is there, as opposed to something that is wrong


MISSING = Gap("the frame is missing", is_missing=True)
MISSING_SENTENCE = Gap("the sentence is missing", is_missing=True)


class Answer(Protocol):
    """The masks of one sentence."""

    def shape(self, index: int) -> Shape | Gap:
        """Return the mask of a frame, by its place in the video."""


class Source(Protocol):
    """A result to be scored: where its masks come from. It is sent to other processes."""

    @property
    def name(self) -> str:
        """What the result is called in the score."""

    def answer(self, video: Video, expression: Expression) -> Answer | Gap:
        """Return the masks of a sentence, or say why it has none."""


class Truth(Protocol):
    """What scoring asks of a ground truth."""

    def objects(self, video: Video, expression: Expression) -> list[tuple[bytes, ...]]:
        """Return the run lengths of every object that the sentence means, one for each frame."""


@dataclass(frozen=True)
class ExpressionScore:
    """J and F of one sentence (means over its frames), and what the other numbers ask."""

    video: str
    expression: str
    j: float
    f: float
    has_target: bool  # the sentence means at least one object
    found_any: bool  # any mask has foreground
    is_missing: bool  # no frame is there
    faults: tuple[Fault, ...]  # what counted 0, and why

    @property
    def answers_rightly(self) -> bool:
        """Whether emptiness is right: no foreground without a target, some with one."""
        return not self.faults and self.found_any == self.has_target


@dataclass(frozen=True)
class Score:
    """The scores of the sentences of a split, in its order."""

    expressions: tuple[ExpressionScore, ...]

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

    def video_means(self) -> dict[str, dict[str, float]]:
        """Return J, F and J&F of each video: means over its sentences."""
        return {video: _means(scores) for video, scores in self._by_video().items()}

    def faults(self) -> list[Fault]:
        """Return everything that counted 0; a video of which nothing is there is one fault."""
        faults: list[Fault] = []
        for video, scores in self._by_video().items():
            if all(score.is_missing for score in scores):
                number = counted(len(scores), "sentence")
                faults.append(Fault(video, f"the video is missing ({number})"))
            else:
                faults += [fault for score in scores for fault in score.faults]
        return faults

    def as_official(self) -> "Score":
        """Return the score as the public script would count it.

        A sentence that lacks a frame, or has one of another size, stops the worker of that
        script and silently drops out of the mean. Only a video without a folder counts 0.
        """
        kept = [
            score
            for scores in self._by_video().values()
            for score in scores
            if not score.faults or all(other.is_missing for other in scores)
        ]
        return Score(tuple(kept))

    def _by_video(self) -> dict[str, list[ExpressionScore]]:
        videos: dict[str, list[ExpressionScore]] = {}
        for score in self.expressions:
            videos.setdefault(score.video, []).append(score)
        return videos


def score(split: Split, truth: Truth, sources: Sequence[Source]) -> dict[str, Score]:
    """Score whole results, by their names, in this process."""
    videos = (score_video(video, truth, sources) for video in split.videos)
    return gather(videos, [source.name for source in sources])


def gather(
    videos: Iterable[Mapping[str, Sequence[ExpressionScore]]], names: Sequence[str]
) -> dict[str, Score]:
    """Join what `score_video` returned for each video, in the order of the split."""
    parts = list(videos)
    return {name: Score(tuple(one for part in parts for one in part[name])) for name in names}


def score_video(
    video: Video, truth: Truth, sources: Sequence[Source]
) -> dict[str, list[ExpressionScore]]:
    """Score every sentence of a video in each result; return the scores by the result's name.

    Sentences that mean the same objects share their true masks, which are decoded once, frame
    by frame: no more than one true mask and one to be scored are in memory.
    """
    reach = default_tolerance(*video.size)
    done: dict[tuple[str, str], ExpressionScore] = {}
    for alike in _with_same_objects(video):
        tallies = [
            (source.name, _Tally(video, expression, source.answer(video, expression)))
            for expression in alike
            for source in sources
        ]
        true_windows = _true_windows(video, truth.objects(video, alike[0]))
        for index in range(len(video.frame_names)):
            true: Shape | None = None  # drawn where there is something to compare it with
            for _, tally in tallies:
                if (pred := tally.take(index)) is not None:
                    true = true or Shape.of_window(true_windows[index], video.size)
                    tally.count(pred, true, reach)
        done |= {(name, tally.expression.id): tally.result() for name, tally in tallies}
    return {
        source.name: [done[source.name, expression.id] for expression in video.expressions]
        for source in sources
    }


@dataclass
class _Tally:
    """The sums over the frames of one sentence in one result."""

    video: Video
    expression: Expression
    answer: Answer | Gap
    j: float = 0.0
    f: float = 0.0
    found_any: bool = False
    gaps: list[tuple[int, Gap]] = field(default_factory=list)

    def take(self, index: int) -> Shape | None:
        """Return the mask of a frame, or note why it counts 0."""
        if isinstance(self.answer, Gap):
            return None
        pred = self.answer.shape(index)
        if isinstance(pred, Shape) and pred.size != self.video.size:
            pred = Gap(f"{_size(pred.size)}, but the video has {_size(self.video.size)}")
        if isinstance(pred, Shape):
            return pred
        self.gaps.append((index, pred))
        return None

    def count(self, pred: Shape, true: Shape, reach: int) -> None:
        self.j += frame_j(pred, true)
        self.f += frame_f(pred, true, reach)
        self.found_any |= pred.area > 0

    def result(self) -> ExpressionScore:
        num_frames = len(self.video.frame_names)
        whole = self.answer if isinstance(self.answer, Gap) else None
        if sum(gap.is_missing for _, gap in self.gaps) == num_frames:
            whole = MISSING_SENTENCE
        where = f"{self.video.name}/{self.expression.id}"
        frames = self.video.frame_names
        parts = [Fault(f"{where}/{frames[index]}", gap.what) for index, gap in self.gaps]
        return ExpressionScore(
            self.video.name,
            self.expression.id,
            j=self.j / num_frames,
            f=self.f / num_frames,
            has_target=self.expression.annotation_ids != (),
            found_any=self.found_any,
            is_missing=whole is not None and whole.is_missing,
            faults=(Fault(where, whole.what),) if whole else tuple(parts),
        )


def _true_windows(video: Video, objects: Sequence[tuple[bytes, ...]]) -> Windows:
    tracks = [Track(video.size, counts) for counts in objects]
    return Track.union(tracks, video.size, len(video.frame_names)).windows(margin=1)


def _with_same_objects(video: Video) -> list[list[Expression]]:
    groups: dict[frozenset[int], list[Expression]] = {}
    for expression in video.expressions:
        groups.setdefault(frozenset(expression.annotation_ids or ()), []).append(expression)
    return list(groups.values())


def _means(scores: Sequence[ExpressionScore]) -> dict[str, float]:
    j = sum(score.j for score in scores) / len(scores) if scores else 0.0
    f = sum(score.f for score in scores) / len(scores) if scores else 0.0
    return {"J": j, "F": f, "J&F": (j + f) / 2}


def _share_right(scores: Sequence[ExpressionScore]) -> float:
    return sum(score.answers_rightly for score in scores) / len(scores) if scores else 0.0


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]} pixels"
