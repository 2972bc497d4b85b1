"""What Cutie is told and what it answers, as records; free of torch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRIDE = 16  # pixels of a frame, each way, that one token of memory stands for
STAGGERED_UPDATES = 5  # of sensory memory between two memorised frames, as published


@dataclass(frozen=True)
class LongTermMemory:
    """Sizes of the memory that keeps what working memory lets go of; defaults as published."""

    max_mem_frames: int = 10  # frames in working memory before the older ones are condensed
    min_mem_frames: int = 5  # frames that stay in working memory then
    num_prototypes: int = 128  # tokens that they are condensed to
    max_num_tokens: int = 10_000  # tokens of long-term memory
    buffer_tokens: int = 2000  # by which it is cut when it is full


@dataclass(frozen=True)
class CutieSettings:
    """How masks are propagated; defaults are those of the authors' evaluation at 480 pixels.

    Their "plus" setting is mem_every=3, max_mem_frames=10 at a short side of 720. Raises ValueError
    for sizes that mean nothing.
    """

    mem_every: int = 5  # every n-th frame is memorised
    max_mem_frames: int = 5  # frames in working memory, the first one for ever among them
    top_k: int = 30  # tokens of memory that a pixel reads
    max_internal_size: int = -1  # short side that frames are shrunk to; -1 leaves them
    flip: bool = False  # average with the mirrored frames: twice the work
    use_long_term: bool = False  # for long videos; then long_term counts, not max_mem_frames
    long_term: LongTermMemory = field(default_factory=LongTermMemory)

    def __post_init__(self) -> None:
        for name in ("mem_every", "max_mem_frames", "top_k"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.max_internal_size != -1 and self.max_internal_size < STRIDE:
            raise ValueError(
                f"max_internal_size is {self.max_internal_size}; it must be at least {STRIDE}, "
                "or -1 for frames as they are"
            )
        long = self.long_term
        if not 2 <= long.min_mem_frames < long.max_mem_frames:
            raise ValueError(
                f"long_term keeps {long.min_mem_frames} of {long.max_mem_frames} frames in working "
                "memory; it must be at least 2 and fewer than all"
            )
        if not 0 < long.num_prototypes + long.buffer_tokens < long.max_num_tokens:
            raise ValueError(
                f"long_term has room for {long.max_num_tokens} tokens; that must be more than "
                f"{long.num_prototypes} prototypes and {long.buffer_tokens} buffer_tokens"
            )

    def tokens(self, height: int, width: int) -> int:
        """Tokens of memory that one frame of this size is."""
        if 0 < self.max_internal_size < min(height, width):
            height, width = (
                int(side / min(height, width) * self.max_internal_size) for side in (height, width)
            )
        return -(-height // STRIDE) * -(-width // STRIDE)

    def table(self, height: int, width: int) -> dict[str, Any]:
        """The settings under the package's names, for frames of this size.

        A frame of fewer tokens than are read, or than long-term memory is condensed to, would make
        the package fail: small frames lower both.
        """
        tokens, long = self.tokens(height, width), self.long_term
        condensed = (long.max_mem_frames - long.min_mem_frames) * tokens
        return {
            "mem_every": self.mem_every,
            "max_mem_frames": self.max_mem_frames,
            "top_k": self.top_k,
            "max_internal_size": self.max_internal_size,
            "flip_aug": self.flip,
            "use_long_term": self.use_long_term,
            "long_term": {
                **asdict(long),
                "count_usage": True,
                "num_prototypes": min(long.num_prototypes, condensed),
            },
            "stagger_updates": STAGGERED_UPDATES,
            "chunk_size": -1,  # objects at once: all
            "save_aux": False,
        }


@dataclass(frozen=True)
class Propagation:
    """Masks of a whole video."""

    ids: NDArray[np.uint8]  # (T, H, W): which object a pixel belongs to, 0 for none
    probabilities: Sequence[NDArray[np.float32]]  # a frame: (1 + objects known by then, H, W)
    objects: Sequence[tuple[int, ...]]  # a frame: the ids of the channels behind the first
