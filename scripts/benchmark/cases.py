"""What is timed: a model, a clip and how it is asked."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """One row: a model, a clip and how it is asked."""

    size: str  # a name of sizes.py, or a checkpoint folder
    frames: int  # T
    key_frames: int  # M
    sentences: int  # E
    height: int = 240  # pixels
    width: int = 320  # pixels
    procedure: str = "sa2va"
    clip: str = ""  # folder of the frames; empty for a made-up clip
    attention: str = "auto"  # the kernel of our memory attention on a GPU
    compile: str = "off"  # "parts": ours replays parts of fixed shape

    @property
    def masks(self) -> int:
        """Masks that the case asks for."""
        return self.frames * self.sentences

    def values(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        kernel = "" if self.attention == "auto" else f" {self.attention}"
        kernel += "" if self.compile == "off" else f" compile={self.compile}"
        return (
            f"{self.size} {self.procedure} M={self.key_frames} E={self.sentences} "
            f"T={self.frames} {self.height}x{self.width}{kernel}"
        )
