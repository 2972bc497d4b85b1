"""The ways from a video to masks, as values: what is asked and shown, prompted and tracked.

Integers and words only; no torch. Whoever adds a way adds a value to PROCEDURES: settings, recipes
and the schema for editors take its name from there, and nobody tells one way from another by name.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

from submission.errors import Fault, InputError
from submission.models.sam2.policy import TrackerPolicy
from submission.video.sampling import key_frames, prompted_frames

if TYPE_CHECKING:
    from submission.models.sa2va.settings import Settings  # which takes its words from here

TRACK = None  # in place of the number of an embedding


@dataclass(frozen=True)
class Step:
    """One look of SAM 2 at a frame, for every object alike."""

    frame: int
    prompt: int | None = TRACK  # which of an object's embeddings prompts it; TRACK: memory does
    times: int = 1  # how often the step counts in the mean of the frame's logits


class Procedure(Protocol):
    """One way from a video to masks."""

    @property
    def policy(self) -> TrackerPolicy:
        """How SAM 2's decoders are used."""

    @property
    def unread(self) -> tuple[str, ...]:
        """The settings that have no effect."""

    @property
    def mosaics(self) -> bool:
        """Whether an image that the language model sees is made of several frames."""

    @property
    def trained(self) -> str:
        """`model_type` in config.json of checkpoints that were trained for it."""

    def question(self, sentence: str) -> str:
        """Return the user's words after the images."""

    def images(self, length: int, settings: "Settings") -> tuple[tuple[int, ...], ...]:
        """Return the frames of each image that the language model sees, for a video of `length`."""

    def objects(self, found: int, settings: "Settings") -> tuple[tuple[int, ...], ...]:
        """Return which of the `found` [SEG] of an answer prompt each object.

        All objects of a procedure have equally many; masks of several objects are joined.
        """

    def steps(self, length: int, settings: "Settings") -> tuple[Step, ...]:
        """Return what SAM 2 does in a video of `length` frames: prompts first, then tracking.

        A frame with several steps gets the mean of their logits, one without a step an empty mask.
        """


@dataclass(frozen=True)
class KeyFrames:
    """Sa2VA's way: some frames are shown, some are prompted, all others are tracked."""

    policy: TrackerPolicy
    asks: str = "\nPlease segment {}."
    asks_question: str = "\nPlease segment {}."  # for a sentence with "?"
    unread: tuple[str, ...] = ("mode", "selected_frames")
    mosaics: bool = False
    trained: str = "sa2va_chat"

    def question(self, sentence: str) -> str:
        return (self.asks_question if "?" in sentence else self.asks).format(sentence)

    def images(self, length: int, settings: "Settings") -> tuple[tuple[int, ...], ...]:
        shown = key_frames(length, settings.frames, settings.sampling)
        return tuple((time,) for time in shown)

    def objects(self, found: int, settings: "Settings") -> tuple[tuple[int, ...], ...]:
        taken = {"first": min(found, 1), "union": found}
        return tuple((seg,) for seg in range(taken[settings.seg]))

    def steps(self, length: int, settings: "Settings") -> tuple[Step, ...]:
        prompted = prompted_frames(
            length, settings.frames, settings.sampling, settings.prompt_frames
        )
        tracked = sorted(set(range(length)) - set(prompted))
        return (*(Step(time, prompt=0) for time in prompted), *map(Step, tracked))


CLIPS, CLIP = 10, 10  # SaSaSa2VA: [SEG] tokens, one for each clip of so many frames
SELECTED = CLIPS * CLIP  # frames that its language model sees, some of them several times


@dataclass(frozen=True)
class Clips:
    """SaSaSa2VA's way: 100 frames in ten clips are shown, and a [SEG] of each prompts its frames.

    The language model sees two images of a clip: its first frame, and a mosaic of the other nine.
    Which frames those are, and which [SEG] prompts a frame, is the mode's business (docs/
    sasasa2va.md has the table). Only two modes track, and only in videos above 100 frames.
    """

    policy: TrackerPolicy
    asks: str = "\nPlease segment {}."
    asks_question: str = "\n{}"  # as it was trained; the reference's evaluator stops there
    unread: tuple[str, ...] = ("sampling", "frames", "seg")
    mosaics: bool = True
    trained: str = "sasasa2va_chat"

    def question(self, sentence: str) -> str:
        return (self.asks_question if "?" in sentence else self.asks).format(sentence)

    def images(self, length: int, settings: "Settings") -> tuple[tuple[int, ...], ...]:
        shown = selected_frames(length, settings)
        clips = (shown[start : start + CLIP] for start in range(0, SELECTED, CLIP))
        return tuple(image for key, *others in clips for image in ((key,), tuple(others)))

    def objects(self, found: int, settings: "Settings") -> tuple[tuple[int, ...], ...]:
        """One object with ten prompts: the last is repeated where there are fewer."""
        return (tuple(min(clip, found - 1) for clip in range(CLIPS)),) if found else ()

    def steps(self, length: int, settings: "Settings") -> tuple[Step, ...]:
        mode, shown = MODES[settings.mode], selected_frames(length, settings)
        published = settings.prompt_frames == "first"
        first = {time: place // CLIP for place, time in reversed([*enumerate(shown)])}
        if length < SELECTED or (length == SELECTED and not published):
            if mode.averages:
                pairs = Counter((time, place // CLIP) for place, time in enumerate(shown))
                return tuple(Step(time, clip, times) for (time, clip), times in pairs.items())
            if mode.wraps:
                return tuple(Step(time, first[time]) for time in range(length))
        if length > SELECTED and mode.tracks:
            if published:
                first = {time: time // CLIP for time in range(SELECTED)}
            tracked = sorted(set(range(length)) - first.keys())
            return (*(Step(time, first[time]) for time in sorted(first)), *map(Step, tracked))
        return tuple(Step(time, time * CLIPS // length) for time in range(length))


@dataclass(frozen=True)
class ClipMode:
    """One of SaSaSa2VA's modes: what becomes of a video shorter, and of one longer than 100."""

    wraps: bool = False  # short: shown in whole rounds, each frame prompted by its first clip
    averages: bool = False  # short: each of the 100 is prompted, and a frame gets their mean
    tracks: bool = False  # long: 100 frames are prompted and the others tracked


MODES: Mapping[str, ClipMode] = {
    "uniform": ClipMode(),
    "uniform_plus": ClipMode(averages=True),
    "wrap_around": ClipMode(wraps=True, tracks=True),
    "wrap_around_plus": ClipMode(wraps=True),
    "q_frame": ClipMode(averages=True, tracks=True),
}


def selected_frames(length: int, settings: "Settings") -> tuple[int, ...]:
    """Return the 100 frames that SaSaSa2VA's language model sees in a video of `length`.

    Raises InputError when a frame is selected that the video has not.
    """
    mode, given = MODES[settings.mode], settings.selected_frames
    places = range(SELECTED)
    if given is not None:
        if max(given) >= length:
            raise InputError(
                f"selected_frames names frame {max(given)}; the video has {length}, counted from 0"
            )
        return given
    if length < SELECTED and mode.wraps:
        return tuple(sorted(place % length for place in places))
    if length > SELECTED and mode.tracks:
        return tuple(places)
    return tuple(place * length // SELECTED for place in places)


PROCEDURES: Mapping[str, Procedure] = {
    # The evaluator of Sa2VA words a question differently; the space after the line break is its
    # own. That of Sa2VA-i never does.
    "sa2va": KeyFrames(
        TrackerPolicy(), asks_question="\n {} Please respond with a segmentation mask."
    ),
    "sa2va-i": KeyFrames(
        TrackerPolicy(harden_prompts=True, gate_tracked=True, tracking_decoder="original")
    ),
    "sasasa2va": Clips(TrackerPolicy(gate_prompted=True, gate_tracked=True)),
}


def idle_faults(choices: Any) -> Iterator[Fault]:
    """The settings that were chosen and that the procedure does not read.

    `choices` are Settings, or a record of a recipe with fields of the same names.
    """
    unread = PROCEDURES[choices.procedure].unread
    for item in fields(choices):
        if item.name in unread and getattr(choices, item.name) != item.default:
            yield Fault(item.name, f'it has no effect with procedure = "{choices.procedure}"')


def misfit(name: str, model_type: object) -> str:
    """Say that a checkpoint of this type was trained for another procedure; empty for not so."""
    fitting = [other for other, way in PROCEDURES.items() if way.trained == model_type]
    if not fitting or name in fitting:
        return ""
    known = " or ".join(f'"{other}"' for other in fitting)
    return (
        f'has procedure = "{name}", and its checkpoint is of type {model_type}, trained for '
        f"{known}: expect poor masks"
    )


def decoder_faults(name: str, *, has_tuned_decoder: bool) -> Iterator[Fault]:
    """A procedure that needs two mask decoders, where the checkpoint has one."""
    if PROCEDURES[name].policy.needs_original_decoder and not has_tuned_decoder:
        yield Fault(
            "procedure",
            f'"{name}" needs a second mask decoder: take a Sa2VA-i checkpoint, or '
            "give the original SAM 2.0 large weights beside the Sa2VA one (sam2 = ... in the "
            "recipe)",
        )
