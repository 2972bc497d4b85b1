"""What experts of a pass need make only once, video by video; for a run and a dry run; no torch.

`Expert.shares` says under keys what an expert makes of a video. Who has an equal key under
EVERYTHING answers equally and is not asked; other names are stages of work.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import count

from submission.dataset.records import Expression, Video
from submission.errors import InputError
from submission.experts.expert import EVERYTHING, Expert, Predictions, Resources
from submission.experts.scheduling import Names, Schedule, resources_of
from submission.masks.store import Prediction

Todo = Mapping[str, Sequence[Video]]  # the videos that each expert has still to answer
Made = Mapping[str, str]  # a name of `Expert.shares` -> the expert that has made it


def equal_answers(experts: Iterable[Expert], video: Video) -> list[tuple[Expert, ...]]:
    """Put those together that answer a video equally, in the order of the first of each group."""
    groups: dict[Hashable, list[Expert]] = {}
    for expert in experts:
        key = _shares(expert, video).get(EVERYTHING)
        groups.setdefault(expert.name if key is None else (EVERYTHING, key), []).append(expert)
    return [tuple(group) for group in groups.values()]


def in_copies(answers: Predictions, number: int) -> list[Predictions]:
    """Give the same answers so many times; each is made when it is first asked for.

    An InputError that ends them ends every copy. Copies are drawn in one thread.
    """
    if number == 1:
        return [answers]
    drawn: list[tuple[Expression, Prediction] | InputError] = []

    def draw() -> Predictions:
        for position in count():
            if position == len(drawn):
                try:
                    drawn.append(next(answers))
                except StopIteration:
                    return
                except InputError as error:
                    drawn.append(error)
            there = drawn[position]
            if isinstance(there, InputError):
                raise there
            yield there

    return [draw() for _ in range(number)]


def made_before(plan: Schedule, todo: Todo) -> dict[str, dict[str, Made]]:
    """By expert and video: the names of what it need not make, and which expert has made it."""
    found: dict[str, dict[str, Made]] = {}
    for one in plan.passes:
        by_video: dict[str, dict[Hashable, str]] = {}
        for expert in one.experts:
            taken = found.setdefault(expert.name, {})
            for video in todo.get(expert.name, ()):
                makers, keys = by_video.setdefault(video.name, {}), _shares(expert, video).items()
                taken[video.name] = {key[0]: makers[key] for key in keys if key in makers}
                for key in keys:
                    makers.setdefault(key, expert.name)
    return found


def _shares(expert: Expert, video: Video) -> Mapping[str, Hashable]:
    """What an expert can share; of one whose files are nowhere, nothing."""
    try:
        return expert.shares(video)
    except InputError:
        return {}


# --- in words ------------------------------------------------------------------------------------
def votes_in_vain(experts: Sequence[Expert], videos: Sequence[Video]) -> list[str]:
    """Say which experts answer alike, so that a vote between them adds nothing."""
    counted: Counter[Names] = Counter()
    for video in videos:
        groups = (tuple(one.name for one in group) for group in equal_answers(experts, video))
        counted.update(names for names in groups if len(names) > 1)
    return [
        f"{', '.join(names)}: equal answers in {number} of {len(videos)} videos; a vote between "
        "them adds nothing there"
        for names, number in counted.items()
    ]


def sharing_in_words(plan: Schedule, todo: Todo, *, share: bool = True) -> list[str]:
    """Say which experts with a model share what, and what that saves; `todo` has their videos."""
    needs = {one.name: resources_of(one) for p in plan.passes for one in p.experts}
    busy = {name: need for name, need in needs.items() if need.model}
    if len(busy) < 2:
        return []
    if not share:
        return ['nothing: share_features = "off"']
    passes = [tuple(name for name in one if name in busy) for one in plan.names]
    lines = [_who_shares(one, needs) for one in passes if len(one) > 1]
    lines += _made_once(plan, todo)
    if len({need.model for need in busy.values()}) > 1:
        unknown = dict.fromkeys(
            word
            for one in plan.passes
            for expert in one.experts
            if (encoder := needs[expert.name].encoder) is not None and encoder() is None
            for word in expert.checkpoints()[:1]
        )
        if unknown:
            lines.append(
                f"{', '.join(unknown)}: not fetched yet; then it is seen whether image encoders "
                "are equal"
            )
    # Every frame is seen by those that encode it for SAM 2; a judge reads a few, for itself.
    videos = {name: todo[name] for name, need in busy.items() if need.encoder is not None}
    if len(videos) < 2:
        return lines
    frames, apart = (count_frames(them, videos) for them in (passes, [(name,) for name in videos]))
    if frames < apart:
        lines.append(f"{frames:,} frames decoded and encoded for SAM 2, instead of {apart:,}")
    return lines


def _made_once(plan: Schedule, todo: Todo) -> list[str]:
    counted: Counter[tuple[str, str, str]] = Counter()
    for expert, by_video in made_before(plan, todo).items():
        for made in by_video.values():
            if EVERYTHING in made:
                counted[expert, "answers", made[EVERYTHING]] += 1
            elif made:
                makers = ", ".join(dict.fromkeys(made.values()))
                counted[expert, ", ".join(made), makers] += 1
    return [
        f"{expert}: {what} of {number} of {len(todo[expert])} videos are there from {makers}"
        for (expert, what, makers), number in counted.items()
    ]


def count_frames(passes: Iterable[Names], todo: Mapping[str, Sequence[Video]]) -> int:
    """Count the frames that are decoded and pass an image encoder, over all passes.

    `todo` has the videos of each expert that has one.
    """
    frames = 0
    for one in passes:
        asked = {video.name: video for name in one for video in todo.get(name, ())}
        frames += sum(len(video.frame_names) for video in asked.values())
    return frames


def _who_shares(one: Names, needs: Mapping[str, Resources]) -> str:
    models = dict.fromkeys(needs[name].model for name in one)
    if len(models) == 1:
        return f"{', '.join(one)}: one loaded model, frames and image features"
    return (
        f"{', '.join(one)}: frames and image features; their image encoders are equal, and "
        f"{len(models)} models are loaded side by side"
    )
