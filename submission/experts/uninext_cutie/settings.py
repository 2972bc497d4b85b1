"""What an [[expert]] of the kind "uninext-cutie" may say."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from submission.compute import Count
from submission.experts.propagate.by_cutie import BASE
from submission.experts.uninext_cutie.key_frames import Fusion
from submission.models.cutie.settings import STRIDE, CutieSettings


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The keys of its [[expert]], beside name, kind and weight."""

    uninext: Annotated[str, Field(min_length=1)]  # a file, a folder, or a name in weights.lock
    cutie: Annotated[str, Field(min_length=1)] = BASE  # the same
    short_side: Annotated[int, Field(ge=STRIDE)] = 480  # pixels; Cutie shrinks larger frames to it
    mem_every: Count = CutieSettings.mem_every
    max_mem_frames: Count = CutieSettings.max_mem_frames
    key_frames: Annotated[int, Field(ge=1, le=15)] = 1  # so many of the best are carried
    fusion: Fusion = "majority"
