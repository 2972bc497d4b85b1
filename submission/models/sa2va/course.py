"""The course of a video: which calls a procedure makes, before anything is counted; no torch."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from submission.models.sa2va.procedures import PROCEDURES, TRACK
from submission.models.sa2va.settings import Settings
from submission.models.sam2.sight import look_back


@dataclass(frozen=True)
class Course:
    """What a procedure does in a video of one length."""

    images: int  # that the language model sees
    prompts: int  # looks at a frame with a prompt
    repeats: int  # the same as the public procedure looks, which joins no equal ones
    prompted: int  # frames
    sights: Mapping[tuple[int, int], int]  # (maps, pointers) that tracked frames see, how often
    segs: int  # [SEG] in an answer

    @property
    def tracked(self) -> int:
        """Frames."""
        return sum(self.sights.values())

    @property
    def frames(self) -> int:
        """That SAM 2 looks at."""
        return self.prompted + self.tracked

    @property
    def maps(self) -> int:
        """Memory maps that are seen, over all tracked frames."""
        return sum(maps * times for (maps, _), times in self.sights.items())

    @property
    def pointers(self) -> int:
        """Object pointers that are seen, over all tracked frames."""
        return sum(pointers * times for (_, pointers), times in self.sights.items())


@lru_cache(maxsize=4096)
def course_of(frames: int, settings: Settings) -> Course:
    """Return what the procedure of `settings` does in a video of so many frames."""
    procedure, approximation = PROCEDURES[settings.procedure], settings.approximation
    steps = procedure.steps(frames, settings)
    prompts = [step for step in steps if step.prompt is not TRACK]
    prompted = {step.frame for step in prompts}
    tracked = sorted({step.frame for step in steps} - prompted)
    seen = (look_back(time, prompted, tracked, approximation) for time in tracked)
    return Course(
        images=len(procedure.images(frames, settings)),
        prompts=len(prompts),
        repeats=sum(step.times for step in prompts),
        prompted=len(prompted),
        sights=Counter((sight.maps, sight.pointers) for sight in seen),
        segs=1 + max((step.prompt or 0 for step in prompts), default=0),
    )
