"""Which frames are carried through a video, and how what comes of it is fused; free of torch."""

from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import NDArray

from submission.masks.track import Track
from submission.masks.voting import vote_tracks

Fusion = Literal["majority", "union"]

# Weight of the track from the best key frame, the others having 1: it decides ties, nothing else.
DECIDES_TIES = 1.5


def best_frames(masks: NDArray[Any], scores: Sequence[float], count: int) -> list[int]:
    """Return the `count` frames with the best scores, best first; of equal ones the earliest first.

    A frame without a mask, (T, ...) with nothing but zeros, has nothing to carry and is never one
    of them, so there may be fewer, or none.
    """
    shown = [time for time in range(len(scores)) if masks[time].any()]
    return sorted(shown, key=lambda time: (-scores[time], time))[:count]


def fuse(carried: Sequence[Track], per_frame: Track, rule: Fusion) -> Track:
    """Fuse tracks carried from key frames, best first, with the masks found frame by frame.

    "majority": foreground where more than half of the tracks, the per-frame one among them, have
    it; a tie is decided by the track of the best key frame. So with one key frame its track is the
    answer, and with more the per-frame masks are one voice among them. "union": foreground where
    any track has it, for sentences that mean several objects.
    """
    tracks = [*carried, per_frame]
    if rule == "union":
        return Track.union(tracks, per_frame.size, len(per_frame))
    return vote_tracks(tracks, "majority", [DECIDES_TIES, *(1.0 for _ in tracks[1:])])
