"""Masks of key frames become masks of all frames, by SAM 2: forward and backward in time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from submission.models.sam2.image_features import FrameFeatures
from submission.models.sam2.network import GroundingNetwork
from submission.models.sam2.policy import AS_TRAINED
from submission.models.sam2.tracker import Found, Tracker


@dataclass(frozen=True)
class Given:
    """A mask at a frame."""

    time: int
    mask: NDArray[np.bool_]  # (H, W)


@dataclass(frozen=True)
class Step:
    """One frame of some candidates, which have the same key frame."""

    candidates: tuple[int, ...]  # their numbers in the call
    time: int
    found: Found  # (B, 1, 4S, 4S) logits, (B,) confidence


@torch.inference_mode()
def propagate(
    network: GroundingNetwork, video: FrameFeatures, given: Sequence[Given]
) -> Iterator[Step]:
    """Give the masks of every frame of every candidate; candidates know nothing of each other.

    A key frame comes first, then what follows it, then what was before it, back in time: for SAM 2
    that is a video like any other, and it sees the key frame from everywhere.
    """
    length, size = video.loader.shape[0], video.loader.shape[1:]
    groups = [
        [number for number, one in enumerate(given) if one.time == time]
        for time in dict.fromkeys(one.time for one in given)
    ]
    for group, following in pairwise([*groups, []]):
        again = bool(following)
        key, candidates = given[group[0]].time, tuple(group)
        masks = torch.from_numpy(np.stack([given[number].mask for number in group]))
        masks = masks[:, None].to(video.device, torch.float32)
        ways = {range(key + 1, length): key, range(key - 1, -1, -1): length - 1 - key}
        for number, (times, start) in enumerate(ways.items()):
            tracker = Tracker(network, AS_TRAINED, frame_size=size)
            first = number == 0
            for time, seen in video.each([key], again=again or first):
                found = tracker.give(start, seen, masks)
                if first:
                    yield Step(candidates, time, found)
            for place, (time, seen) in enumerate(video.each(times, again=again), start + 1):
                yield Step(candidates, time, tracker.track(place, seen))
