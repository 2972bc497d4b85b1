"""What one call of Sa2VA does: every choice and its default, typed once; no torch.

The recipe reads these keys, `segment` takes the record whole, and the dry run counts with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, get_args

from submission.errors import Fault, FaultyInput
from submission.models.sa2va.procedures import MODES, PROCEDURES, SELECTED
from submission.models.sam2.approximation import ALL, Approximation
from submission.video.sampling import PromptFrames, Sampling

if TYPE_CHECKING:  # whoever checks types cannot look into a table
    ProcedureName = str
    Mode = str
else:  # readers of recipes and the schema for editors can
    ProcedureName = Literal[*PROCEDURES]
    Mode = Literal[*MODES]
Seg = Literal["first", "union"]
HiddenState = Literal["as trained", "before the norm", "after the norm"]
SystemTurn = Literal["as stored", "none"]
CELL = 28 * 28  # pixels of a visual token of Qwen2.5-VL, in which its public limits are stated


@dataclass(frozen=True)
class Choices:
    """What a recipe and a call choose alike, with the names of the recipe's keys.

    Raises FaultyInput with everything that is wrong in them.
    """

    procedure: ProcedureName = "sa2va"
    sampling: Sampling = "uniform"  # of the key frames that the language model sees
    frames: int = 5  # key frames, at most
    prompt_frames: PromptFrames = "sampled"  # where language prompts SAM 2: there, or first frames
    seg: Seg = "first"  # with several [SEG] in an answer: the first, or the union of all masks
    max_new_tokens: int = 2048  # where an answer that does not end is cut off, as the reference's
    nearest_prompts: int = ALL  # approximation: prompted frames that are seen; 0 for all
    memory_stride: int = 1  # approximation: every n-th of the recent memory maps is seen
    ask: bool = False  # also: is it there at all? yes or no, for a gate (docs/gate.md)
    mode: Mode = "uniform"  # SaSaSa2VA: which frames it sees, and which [SEG] prompts which frame
    # Qwen-VL checkpoints only; the defaults are those of the public code.
    min_pixels: int = 512 * CELL  # area of a key frame: smaller ones are enlarged
    max_pixels: int = 2048 * CELL  # larger ones are shrunk: fewer tokens, less memory
    hidden_state: HiddenState = "as trained"  # of a [SEG]: on which side of the final norm
    system_turn: SystemTurn = "as stored"  # the checkpoint's chat template may open with one

    def __post_init__(self) -> None:
        if faults := list(self._faults()):
            raise FaultyInput("These settings of Sa2VA have faults:", faults)

    @property
    def approximation(self) -> Approximation:
        """What tracked frames leave out of sight."""
        return Approximation(self.nearest_prompts, self.memory_stride)

    def _faults(self) -> Iterator[Fault]:
        """Everything that is wrong, each with its key."""
        for key, names in _NAMES.items():
            if (value := getattr(self, key)) not in names:
                yield Fault(key, f"it is {value!r}; known: {', '.join(names)}")
        for key in ("frames", "max_new_tokens", "min_pixels", "max_pixels"):
            if not isinstance(value := getattr(self, key), SupportsIndex):
                yield Fault(key, f"it is {value!r}; it must be a whole number")
            elif int(value) < 1:
                yield Fault(key, f"it is {value}; it must be at least 1")
        if self.min_pixels > self.max_pixels:
            yield Fault("min_pixels", f"it is {self.min_pixels}, above max_pixels")
        try:
            self.approximation  # noqa: B018  # it checks its own numbers
        except FaultyInput as error:
            yield from error.faults


@dataclass(frozen=True)
class Settings(Choices):
    """The choices of one call.

    Raises FaultyInput with everything that is wrong in them.
    """

    selected_frames: tuple[int, ...] | None = None  # mode "q_frame": 100 frames of the video

    def _faults(self) -> Iterator[Fault]:
        """Everything that is wrong, each with its key."""
        yield from super()._faults()
        yield from selection_faults(self.mode, self.selected_frames)


def selection_faults(mode: str, selected: tuple[int, ...] | None) -> Iterator[Fault]:
    """What is wrong with the frames selected for a mode, before the video is known."""
    yield from presence_faults(mode, is_given=selected is not None)
    if selected is None:
        return
    if len(selected) != SELECTED:
        yield Fault("selected_frames", f"{len(selected)} frames; they must be {SELECTED}")
    if any(time < 0 for time in selected):
        yield Fault("selected_frames", f"frame {min(selected)}; frames count from 0")


def presence_faults(mode: str, *, is_given: bool) -> Iterator[Fault]:
    """A selection that is missing, or that nobody reads."""
    if is_given != (mode == "q_frame"):
        needs = "has no effect" if is_given else "is missing"
        yield Fault("selected_frames", f'it {needs} with mode = "{mode}"')


_NAMES: dict[str, tuple[Any, ...]] = {
    "procedure": get_args(ProcedureName),
    "sampling": get_args(Sampling),
    "prompt_frames": get_args(PromptFrames),
    "seg": get_args(Seg),
    "mode": get_args(Mode),
    "hidden_state": get_args(HiddenState),
    "system_turn": get_args(SystemTurn),
}
