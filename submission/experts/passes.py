"""Which experts go through the videos together, and what that saves; pure, and free of torch.

Experts of one pass answer a video one after another, so that its frames are decoded once and its
image features computed once for all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from submission.dataset.records import Video


@dataclass(frozen=True)
class Needs:
    """With whom an expert can share.

    Experts with an equal `model` use one loaded model. Those with another model but an equal
    `encoder` (the content of the image encoder's weights) can share image features, when both
    models fit side by side.
    """

    model: str = ""  # empty for an expert without a model, such as given masks
    encoder: str = ""  # empty where it was not compared
    weights: int = 0  # bytes of the loaded model


Pass = tuple[str, ...]  # names of experts, in the order of the recipe


def make_passes(needs: Mapping[str, Needs], room: int) -> list[Pass]:
    """Put experts together that can share; models of one pass take at most `room` bytes.

    A model that is larger than the room has a pass of its own.
    """
    passes: list[list[str]] = []
    for name, need in needs.items():
        joined = next((one for one in passes if _fits(need, [needs[n] for n in one], room)), None)
        if joined is None:
            passes.append([name])
        else:
            joined.append(name)
    return [tuple(one) for one in passes]


def _fits(need: Needs, others: Sequence[Needs], room: int) -> bool:
    if not need.model:
        return False
    weights = {other.model: other.weights for other in others}
    if need.model in weights:
        return True
    alike = bool(need.encoder) and need.encoder == others[0].encoder
    return alike and sum(weights.values()) + need.weights <= room


def count_frames(passes: Iterable[Pass], todo: Mapping[str, Sequence[Video]]) -> int:
    """Count the frames that are decoded and pass an image encoder, over all passes.

    `todo` has the videos of each expert that looks at frames.
    """
    frames = 0
    for one in passes:
        asked = {video.name: video for name in one for video in todo.get(name, ())}
        frames += sum(len(video.frame_names) for video in asked.values())
    return frames
