"""What a recipe says of the gate's judge, and what its answers are called."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

EXISTENCE, AUDIT = "judge", "judge-audit"  # names of the two rounds, below predictions/
LEAST_PIXELS = 28 * 28  # of a frame: a visual token of Qwen2.5-VL


@dataclass(frozen=True)
class Settings:
    """A judge, and what it sees and is asked."""

    checkpoint: Annotated[str, Field(min_length=1)]  # a folder, or a name in weights.lock
    frames: Annotated[int, Field(ge=1)] = 16  # uniform over the video, at most
    # area of a frame; larger are shrunk
    max_pixels: Annotated[int, Field(ge=LEAST_PIXELS)] = 512 * LEAST_PIXELS
    audit: bool = False  # about the parts of a sentence, too; of a round: about nothing else
