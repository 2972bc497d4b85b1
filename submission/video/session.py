"""A video while experts look at it: its frames, and what they share of what they made of them."""

from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar

from submission.video.frame_loader import FrameLoader
from submission.video.transforms import Frame, FrameRequest


class Closable(Protocol):
    """What a session can keep."""

    def close(self) -> None:
        """Drop everything that is held."""


Shared = TypeVar("Shared", bound=Closable)


class VideoSession:
    """One video, for the experts of a pass one after another; knows no model.

    `several` says that more than one expert will look at it: what one of them made and another
    may need is worth keeping then. Nothing of a session outlives `close`.
    """

    def __init__(self, loader: FrameLoader, *, several: bool = False) -> None:
        self.loader = loader
        self.several = several
        self._shared: dict[Hashable, Any] = {}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width of the video."""
        return self.loader.shape

    def frames(self, request: FrameRequest) -> Frame:
        """Return the images of a request as uint8 (N, h, w, 3) RGB.

        Raises what decoding a frame raised.
        """
        return self.loader.frames(request)

    def shared(self, key: Hashable, make: Callable[[], Shared]) -> Shared:
        """Return what lies under a key, made where nothing does.

        The key says all that decides the value, such as the digest of an encoder's weights and its
        sizes: whoever asks for the same gets the same. The value is closed by `release`.
        """
        if key not in self._shared:
            self._shared[key] = make()
        found: Shared = self._shared[key]
        return found

    def release(self) -> None:
        """Drop what is shared; it is made again when it is needed."""
        for value in self._shared.values():
            value.close()
        self._shared.clear()

    def close(self) -> None:
        """Drop everything."""
        self.release()
        self.loader.close()
