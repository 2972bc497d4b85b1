"""How a family uses SAM 2's decoders: what is made hard, what is blanked, which decoder tracks."""

from dataclasses import dataclass
from typing import Literal

DecoderName = Literal["tuned", "original"]


@dataclass(frozen=True)
class TrackerPolicy:
    """Four choices that Sa2VA, Sa2VA-i and SaSaSa2VA make differently; the defaults are Sa2VA's."""

    harden_prompts: bool = False  # found masks are made hard and given to SAM 2 as a user's masks
    gate_prompted: bool = False  # masks of prompted frames are blanked at an object score <= 0
    gate_tracked: bool = False  # the same on tracked frames
    tracking_decoder: DecoderName = "tuned"  # "original" is the second one of a Sa2VA-i checkpoint

    @property
    def needs_original_decoder(self) -> bool:
        """Whether the checkpoint must hold SAM 2's original mask decoder beside the tuned one."""
        return self.harden_prompts or self.tracking_decoder == "original"


# As SAM 2 was trained, for masks that are given: its own decoder, and nothing is drawn where it
# sees no object.
AS_TRAINED = TrackerPolicy(gate_tracked=True, tracking_decoder="original")
