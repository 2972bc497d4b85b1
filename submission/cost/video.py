"""What is asked of a video, and which memory each of its frames sees: integers in, integers out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from submission.models.sa2va.procedures import PROCEDURES, TRACK
from submission.models.sa2va.settings import SELECTED, Mode, ProcedureName, Settings
from submission.video.sampling import PromptFrames, Sampling

RECENT_MAPS = 6  # previous frames whose memory maps a tracked frame attends to
POINTER_WINDOW = 16  # frames whose object pointers it sees, itself included


@dataclass(frozen=True)
class Asking:
    """How an expert asks: the settings of a recipe that decide its cost."""

    frames: int  # key frames, at most
    procedure: ProcedureName = "sa2va"
    sampling: Sampling = "uniform"
    prompt_frames: PromptFrames = "sampled"
    nearest_prompts: int = 0  # approximation: so many prompted frames are seen; 0 for all
    memory_stride: int = 1  # approximation: every n-th of the recent maps is seen
    quantize: str = "none"  # approximation: "int8" keeps the language model in eight bits
    mode: Mode = "uniform"  # of SaSaSa2VA

    @property
    def exact(self) -> "Asking":
        """The same without approximations."""
        return replace(self, nearest_prompts=0, memory_stride=1, quantize="none")


@dataclass(frozen=True)
class Clip:
    """A video as the cost model sees it."""

    frames: int
    sentences: int
    height: int  # pixels
    width: int


@dataclass(frozen=True)
class AtOnce:
    """How much goes through the network at once."""

    objects: int = 16
    sentences: int = 64
    images: int = 8


@dataclass(frozen=True)
class Sight:
    """What a tracked frame sees of memory, for each object."""

    maps: int
    pointers: int


def shown_frames(clip: Clip, asking: Asking) -> int:
    """Images that the language model reads."""
    way = PROCEDURES[asking.procedure]
    return len(way.images(clip.frames, _settings(clip.frames, asking)))


@lru_cache(maxsize=4096)
def sights(frames: int, asking: Asking) -> tuple[int, tuple[Sight, ...]]:
    """Return how often language prompts an object, and what each tracked frame sees of memory.

    All prompted maps whatever their time, the maps of tracked frames among the six before, the
    pointers of prompted frames up to now and of tracked frames among the fifteen before; less
    with an approximation.
    """
    steps = PROCEDURES[asking.procedure].steps(frames, _settings(frames, asking))
    prompted = [step.frame for step in steps if step.prompt is not TRACK]
    others = [step.frame for step in steps if step.prompt is TRACK]
    return len(prompted), tuple(_sight(time, prompted, others, asking) for time in others)


def _settings(frames: int, asking: Asking) -> Settings:
    """The settings of a call; frames that a caller selects are spread over the video here."""
    spread = tuple(place * frames // SELECTED for place in range(SELECTED))
    return Settings(
        procedure=asking.procedure, sampling=asking.sampling, frames=asking.frames,
        prompt_frames=asking.prompt_frames, mode=asking.mode,
        selected_frames=spread if asking.mode == "q_frame" else None,
    )  # fmt: skip


def _sight(time: int, prompted: Sequence[int], others: Sequence[int], asking: Asking) -> Sight:
    nearest = sorted(prompted, key=lambda other: (abs(other - time), other))
    shown = nearest[: asking.nearest_prompts or None]
    recent = [time - other for other in others if 0 < time - other < POINTER_WINDOW]
    maps = [n for n in recent if n <= RECENT_MAPS and (n - 1) % asking.memory_stride == 0]
    return Sight(
        maps=len(shown) + len(maps),
        pointers=sum(other <= time for other in shown) + len(recent),
    )
