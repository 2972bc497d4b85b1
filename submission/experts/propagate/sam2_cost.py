"""What propagation by SAM 2 takes: work and peak memory, known from its sizes."""

from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property

from submission.experts.count_memory import Counter, Counts, stages_of
from submission.models.sa2va.course import Course
from submission.models.sa2va.memory import (
    ALLOWANCE,
    features_bytes,
    images_bytes,
    memory_bytes,
    objects_bytes,
)
from submission.models.sa2va.settings import Settings
from submission.models.sam2.approximation import EXACT
from submission.models.sam2.policy import AS_TRAINED
from submission.models.sam2.sight import look_back
from submission.models.sam2.sizes import GroundingConfig
from submission.models.sam2.work import draw, encode_images, give, track
from submission.models.unit_calls import Calls, add_up, in_groups, once
from submission.models.workload import IMAGES, Clip, Limits, Stages, groups, stays_on_gpu

COUNTER = "submission.models.sam2.work_units"
GIVEN, TRACKED, DRAW = "given masks", "tracked frames", "upsample and pack"


class Sam2Cost:
    """The cost of one SAM 2 that carries masks; `sizes` gives its sizes, when asked."""

    def __init__(self, sizes: Callable[[], GroundingConfig]) -> None:
        self._sizes = sizes

    def work(self, frames: int, size: tuple[int, int], candidates: int, images: int) -> Stages:
        """Work for candidates in a video, `images` frames being encoded at once.

        Which frame is the key frame is known later: half-way is taken, and that no two candidates
        have the same.
        """
        if not candidates:
            return {}
        ways = [way for way in _ways(frames) if way.tracked]
        calls = {
            IMAGES: in_groups(encode_images, groups(frames, images)),
            GIVEN: candidates * max(1, len(ways)) * give(1, size),
            TRACKED: candidates * add_up(
                track(way.tracked, way.maps, way.pointers, way.prompted, 1) for way in ways
            ),
            DRAW: candidates * frames * draw(1, size),
        }  # fmt: skip
        return stages_of(calls, {"sam2": self._counts})

    def weights(self, value_bytes: int) -> float:
        """Bytes of the loaded network."""
        calls: dict[str, Calls] = {"": once("sam2", "weights")}
        return value_bytes * stages_of(calls, {"sam2": self._counts})[""].values

    def memory(self, clip: Clip, limits: Limits, *, gpu_bytes: float, value_bytes: int) -> float:
        """Peak in bytes, were all that go at once to have the same key frame."""
        net, objects = self._sizes(), min(limits.objects_at_once, clip.sentences)
        images = min(limits.images_at_once, clip.frames)
        waiting = clip.frames * net.feature_values * value_bytes
        features = features_bytes(net, images, value_bytes)
        features += waiting if stays_on_gpu(waiting, gpu_bytes) else 0
        longest = max(_ways(clip.frames), key=lambda way: way.tracked)
        kept = memory_bytes(net, longest, Settings(), objects, value_bytes)
        activations = max(
            images_bytes(net, images, value_bytes), objects_bytes(net, objects, clip, value_bytes)
        )
        return self.weights(value_bytes) + features + kept + activations + ALLOWANCE

    @cached_property
    def _counts(self) -> Counts:
        sizes = ["sam2 alone", asdict(self._sizes()), asdict(AS_TRAINED)]
        return Counts(sizes, self._counter, COUNTER)

    def _counter(self) -> Counter:
        """Lay out the network without values; torch is needed from here on."""
        from submission.models.sam2.work_units import Sam2Units

        return Sam2Units(self._sizes(), AS_TRAINED, tuned=False)


def _ways(frames: int) -> list[Course]:
    """Both ways from a key frame in the middle of a video: one given mask, and what follows it."""
    key = frames // 2
    return [_way(frames - 1 - key), _way(key)]


def _way(steps: int) -> Course:
    times = range(1, steps + 1)
    seen = (look_back(time, (0,), times[: time - 1], EXACT) for time in times)
    sights = Tally((sight.maps, sight.pointers) for sight in seen)
    return Course(images=0, prompts=1, repeats=1, prompted=1, sights=sights, segs=1)
