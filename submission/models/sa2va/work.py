"""Work of a video by stage: by our procedure, which shares, and by the public one, which does not.

The procedure's own steps say how often each unit comes. Ours does once for a video what depends on
the video alone and follows objects in groups. The public procedure answers one sentence at a time,
encodes a prompted frame anew and projects the whole memory for every tracked frame; it is counted
with the same units, so the difference is the sharing alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from submission.models.counting import NOTHING, Stages, Work
from submission.models.sa2va.procedures import TRACK, Procedure, Step
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.work_units import Units
from submission.models.sam2.approximation import ALL
from submission.models.sam2.sight import Sight, look_back
from submission.models.workload import AtOnce, Clip, groups

VISION, PREFIX, ANSWERS = "vision encoder", "language prefix", "language answers"
IMAGES, PROMPTED, TRACKED = "image encoder", "prompted frames", "tracked frames"
DRAW = "upsample and pack"


@dataclass(frozen=True)
class Course:
    """What a procedure does in a video of one length."""

    images: int  # that the language model sees
    prompts: tuple[Step, ...]
    sights: tuple[Sight, ...]  # of the tracked frames
    frames: int  # that SAM 2 looks at
    segs: int  # [SEG] in an answer


def course_of(procedure: Procedure, clip: Clip, settings: Settings) -> Course:
    """Return what a procedure does in a clip."""
    steps, seen = procedure.steps(clip.frames, settings), settings.approximation
    prompts = tuple(step for step in steps if step.prompt is not TRACK)
    tracked = sorted(step.frame for step in steps if step.prompt is TRACK)
    prompted = {step.frame for step in prompts}
    return Course(
        images=len(procedure.images(clip.frames, settings)),
        prompts=prompts,
        sights=tuple(look_back(time, prompted, tracked, seen) for time in tracked),
        frames=len(prompted.union(tracked)),
        segs=1 + max((step.prompt or 0 for step in prompts), default=0),
    )


def ours(units: Units, clip: Clip, settings: Settings, at_once: AtOnce) -> Stages:
    """Work of one video with all its sentences, each answered with one object."""
    if not clip.sentences:
        return {}
    course = course_of(units.procedure, clip, settings)
    prefix = units.config.prefix_tokens(course.images, _size(clip))
    objects = groups(clip.sentences, at_once.objects)
    packed = groups(clip.sentences, at_once.sentences)
    return {
        VISION: units.vision(course.images, _size(clip)),
        PREFIX: units.prefix(prefix),
        ANSWERS: _sum(lambda n: units.answers(prefix, n, course.segs), packed),
        IMAGES: _sum(units.images, groups(course.frames, at_once.images)),
        PROMPTED: _sum(lambda n: _prompts(units, clip, course, n), objects),
        TRACKED: _sum(lambda n: _tracks(units, clip, course, n), objects),
        DRAW: course.frames * _sum(lambda n: units.draw(n, _size(clip)), objects),
    }


def public(units: Units, clip: Clip, settings: Settings) -> Stages:
    """Work of one video when every sentence is answered for itself and nothing is kept.

    Exact also where `settings` are not: the public procedure knows no approximations.
    """
    if not clip.sentences:
        return {}
    exact = replace(settings, nearest_prompts=ALL, memory_stride=1)
    alone = ours(units, replace(clip, sentences=1), exact, AtOnce(1, 1, 1))
    course = course_of(units.procedure, clip, exact)
    looks = 2 if units.procedure.policy.harden_prompts else 1
    again = looks * sum(step.times for step in course.prompts)
    alone[IMAGES] += again * units.images(1)
    # A frame projects all the maps that it sees; ours each once, when it is made.
    seen = sum(sight.maps for sight in course.sights)
    made = len({step.frame for step in course.prompts}) + len(course.sights)
    if course.sights:
        alone[TRACKED] += (seen - made) * units.projected()
    return {stage: clip.sentences * work for stage, work in alone.items()}


def _prompts(units: Units, clip: Clip, course: Course, objects: int) -> Work:
    remember = bool(course.sights)
    return len(course.prompts) * units.prompted(objects, _size(clip), remember)


def _tracks(units: Units, clip: Clip, course: Course, objects: int) -> Work:
    if not course.sights:
        return NOTHING
    tracked = units.tracked(objects, _size(clip))
    prompted = len({step.frame for step in course.prompts})
    work = prompted * tracked.lay_out
    maps = sum(sight.maps for sight in course.sights)
    pointers = sum(sight.pointers for sight in course.sights)
    frames = len(course.sights)
    return (
        work + frames * tracked.base + (maps - 2 * frames) * tracked.map
        + (pointers - 2 * frames) * tracked.pointer
    )  # fmt: skip


def _sum(work: Callable[[int], Work], sizes: list[int]) -> Work:
    """Add up work over groups; equal ones are counted once."""
    total = NOTHING
    for size in set(sizes):
        total += sizes.count(size) * work(size)
    return total


def _size(clip: Clip) -> tuple[int, int]:
    return clip.height, clip.width
