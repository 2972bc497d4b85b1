"""What a recipe says of the gate's judge, and what its answers are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

EXISTENCE, AUDIT = "judge", "judge-audit"  # names of the two rounds, below predictions/
LEAST_PIXELS = 28 * 28  # of a frame: a visual token of Qwen2.5-VL


@dataclass(frozen=True)
class Calibrated:
    """The judge whose answers a gate was calibrated on: the numbers of another mean other things.

    Precision is not in it, which moves log-odds less than sentences do.
    """

    checkpoint: str  # as the recipe of that run named it
    frames: int
    max_pixels: int
    files: Mapping[str, str]  # SHA-256 by file name

    def refusal(self, checkpoint: str, files: Mapping[str, str]) -> str:
        """Say why a judge with these files, all or some of its own, is another one; "" if not."""
        other = sorted(name for name, digest in files.items() if self.files.get(name) != digest)
        if not other:
            return ""
        return (
            f"{checkpoint} is not the judge that the gate was calibrated with, {self.checkpoint}: "
            f"{', '.join(other)} {'differs' if len(other) == 1 else 'differ'}. Set judge to that "
            "one, or calibrate on answers of this one: mevis-submission calibrate --run RUN"
        )


@dataclass(frozen=True)
class Settings:
    """A judge, and what it sees and is asked."""

    checkpoint: Annotated[str, Field(min_length=1)]  # a folder, or a name in weights.lock
    frames: Annotated[int, Field(ge=1)] = 16  # uniform over the video, at most
    # area of a frame; larger are shrunk
    max_pixels: Annotated[int, Field(ge=LEAST_PIXELS)] = 512 * LEAST_PIXELS
    audit: bool = False  # about the parts of a sentence, too; of a round: about nothing else
    expected: Calibrated | None = None  # the only judge whose answers the gate can read
