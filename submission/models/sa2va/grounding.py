"""What answers name becomes a mask in every frame: prompted in some, tracked in the others."""

from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor

from submission.models.finite import FiniteOutputs
from submission.models.mask_packing import MaskStack
from submission.models.sa2va.answer import Confidence, PackedMasks
from submission.models.sa2va.backbone import Backbone
from submission.models.sa2va.language import Reply
from submission.models.sa2va.procedures import Procedure, Step
from submission.models.sa2va.settings import Settings
from submission.models.sam2.image_features import FrameFeatures
from submission.models.sam2.tracker import Found, Tracker

FoundObject = tuple[PackedMasks, Confidence]
Upsample = Callable[[Tensor, tuple[int, int]], Tensor]  # logits (B, 1, h, w) to (height, width)


def embed_objects(
    backbone: Backbone, replies: Sequence[Reply], procedure: Procedure, settings: Settings
) -> tuple[list[int], Tensor]:
    """Language embeddings (B, K, C) of the objects, and whose reply each is of.

    K is how many embeddings an object has; a step of the procedure says which prompts.
    """
    states: list[Tensor] = []
    owners: list[int] = []
    for index, reply in enumerate(replies):
        for segs in procedure.objects(len(reply.seg_states), settings):
            states += [reply.seg_states[seg] for seg in segs]
            owners.append(index)
    if not states:
        return [], torch.empty(0)
    embeddings = backbone.network.seg_projector(backbone.for_masks(torch.stack(states), settings))
    return owners, embeddings.unflatten(0, (len(owners), -1))


def follow(
    video: FrameFeatures, steps: Sequence[Step], groups: Sequence[Tensor],
    new_tracker: Callable[[], Tracker], upsample: Upsample,
) -> list[FoundObject]:  # fmt: skip
    """Find each object's masks, as bits, and how sure they are.

    `groups` are embeddings (B, K, C) of objects that go side by side. The features of a frame are
    computed for the first group and kept for the others. Raises NotFinite for NaN and infinity.
    """
    found: list[FoundObject] = []
    for number, group in enumerate(groups, 1):
        found += _follow_group(
            video, steps, group, new_tracker(), upsample, again=number < len(groups)
        )
    return found


def _follow_group(
    video: FrameFeatures, steps: Sequence[Step], group: Tensor, tracker: Tracker,
    upsample: Upsample, *, again: bool,
) -> list[FoundObject]:  # fmt: skip
    """The same for one group; `again` says that another one will ask for the same frames."""
    prompts: dict[int, list[Step]] = {}
    for step in steps:
        if step.prompt is not None:
            prompts.setdefault(step.frame, []).append(step)
    tracked = [step.frame for step in steps if step.prompt is None]
    drawn = MaskStack(len(group), video.loader.shape)
    sure: dict[int, Tensor] = {}  # (B,) by frame; stays on the device until all are there
    finite = FiniteOutputs()

    def keep(time: int, found: Found) -> None:
        drawn.draw(time, upsample(finite.look(found.logits), video.loader.shape[1:]))
        sure[time] = found.confidence

    for time, seen in video.each(list(prompts), again=again):
        looks = [
            (tracker.prompt(time, seen, group[:, step.prompt], remember=bool(tracked)), step.times)
            for step in prompts[time]
        ]
        keep(time, _mean(looks))
    for time, seen in video.each(tracked, again=again):
        keep(time, tracker.track(time, seen))
    confidences = finite.look(torch.stack(list(sure.values()), dim=1))  # (B, frames)
    finite.refuse("a logit of a mask")
    return [
        (masks, tuple(map(dict(zip(sure, known, strict=True)).get, range(len(masks)))))
        for masks, known in zip(drawn.masks(), confidences.tolist(), strict=True)
    ]


def join_objects(
    shape: tuple[int, int, int], owners: Sequence[int], found: Sequence[FoundObject], replies: int
) -> list[FoundObject]:
    """The masks (T, H, W) of each of so many replies: what any of its objects has."""
    several: list[list[FoundObject]] = [[] for _ in range(replies)]
    for owner, one in zip(owners, found, strict=True):
        several[owner].append(one)
    return [
        (_union(shape, [masks for masks, _ in objects]),
         _mean_confidence([confidence for _, confidence in objects], shape[0]))
        for objects in several
    ]  # fmt: skip


def _union(shape: tuple[int, int, int], masks: Sequence[PackedMasks]) -> PackedMasks:
    """The pixels of any; of one object, which is the rule, its own, without a copy."""
    return reduce(PackedMasks.union, masks) if masks else PackedMasks.empty(shape)


def _mean(looks: Sequence[tuple[Found, int]]) -> Found:
    """The mean of what was found, each counted as often as it is said; of one, itself."""
    if len(looks) == 1:
        return looks[0][0]
    total = sum(times for _, times in looks)
    return Found(
        torch.stack([one.logits * (times / total) for one, times in looks]).sum(dim=0),
        torch.stack([one.confidence * (times / total) for one, times in looks]).sum(dim=0),
    )


def _mean_confidence(objects: Sequence[Confidence], length: int) -> Confidence:
    """The mean over objects, which are all looked for in the same frames; without one, None."""
    if not objects:
        return (None,) * length
    return tuple(
        None if None in frame else sum(filter(None, frame)) / len(frame)
        for frame in zip(*objects, strict=True)
    )
