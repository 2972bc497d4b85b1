"""What a vision encoder made of single images, found again by the images' content."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray


class Sized(Protocol):
    """What can be kept."""

    @property
    def nbytes(self) -> int:
        """What it takes, bytes."""


Kept = TypeVar("Kept", bound=Sized)


class KeptImages:
    """Features of images, as far as they take no more than `budget_bytes`.

    Experts that look at one video with equal encoders and sizes find here what the first of them
    computed. The content is the key: who asks for the same pixels gets the same features, whichever
    frames and settings led to them.
    """

    def __init__(self, budget_bytes: float) -> None:
        self._left = budget_bytes
        self._kept: dict[bytes, object] = {}

    def of(self, image: NDArray[np.uint8], make: Callable[[], Kept]) -> Kept:
        """Return the features of an image (h, w, 3), made where there are none."""
        key = blake2b(str(image.shape).encode() + image.tobytes(), digest_size=16).digest()
        if key in self._kept:
            return self._kept[key]  # type: ignore[return-value]
        made = make()
        if made.nbytes <= self._left:
            self._left -= made.nbytes
            self._kept[key] = made
        return made

    def close(self) -> None:
        """Drop everything."""
        self._kept.clear()
        self._left = 0
