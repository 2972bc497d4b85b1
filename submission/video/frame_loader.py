"""Frames as the squares that a model looks at, made ahead in threads, in bounded memory.

Knows a function that decodes one frame; knows nothing of files, datasets or models.
"""

import time as clock
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOM = 512 << 20  # bytes of squares that may wait: 160 frames at SAM 2's 1024 x 1024

Decode = Callable[[int], NDArray[np.uint8]]  # place of a frame in the video -> RGB (H, W, 3)
Square = tuple[int, int]  # (place of the frame, side in pixels)


class Pictures:
    """The frames of one video, squashed to squares of any side.

    Squares are made ahead in the order in which they were wanted, while there is room; one that was
    given makes room for others when there is none. What is not there when it is asked for is made
    then, so the room bounds memory and never what comes out. For one thread to use.
    """

    def __init__(
        self, decode: Decode, shape: tuple[int, int, int], pool: Executor, room: int = ROOM
    ) -> None:
        self.shape = shape  # (T, H, W)
        self.decoded = 0  # frames
        self.waited = 0.0  # seconds that `squash` waited for threads
        self._decode = decode
        self._pool = pool
        self._room = room
        self._held = 0  # bytes of squares, made or under way
        self._wanted: dict[int, list[int]] = {}  # place -> sides, not begun
        self._made: dict[Square, Future[dict[int, NDArray[np.uint8]]]] = {}
        self._given: dict[Square, None] = {}  # oldest first

    def want(self, squares: Iterable[Square]) -> None:
        """Make these squares ahead, in this order, unless they are there.

        A frame that is wanted in several sizes before it is begun is decoded once for all of them.
        """
        for place, side in squares:
            sides = self._wanted.get(place, [])
            if (place, side) not in self._made and side not in sides:
                self._wanted[place] = [*sides, side]
        self._fill()

    def squash(self, places: Sequence[int], side: int) -> NDArray[np.uint8]:
        """Return the frames at `places` as uint8 (N, side, side, 3) RGB.

        Raises what decoding a frame raised.
        """
        for place in places:
            if (place, side) not in self._made:
                self._begin(place, [*{side, *self._wanted.pop(place, [])}])
        started = clock.perf_counter()
        squares = [self._made[place, side].result()[side] for place in places]
        self.waited += clock.perf_counter() - started
        self._given |= dict.fromkeys((place, side) for place in places)
        self._fill()
        return np.stack(squares)

    def close(self) -> None:
        """Let go of everything; what was not begun is not made."""
        self._wanted.clear()
        for future in self._made.values():
            future.cancel()
        self._made.clear()
        self._given.clear()
        self._held = 0

    def _fill(self) -> None:
        while self._wanted:
            place, sides = next(iter(self._wanted.items()))
            cost = sum(map(_bytes, sides))
            while self._given and self._held + cost > self._room:
                self._drop(next(iter(self._given)))
            if self._held + cost > self._room:
                return
            del self._wanted[place]
            self._begin(place, sides)

    def _begin(self, place: int, sides: list[int]) -> None:
        future = self._pool.submit(self._make, place, sides)
        self._made |= {(place, side): future for side in sides}
        self._held += sum(map(_bytes, sides))
        self.decoded += 1

    def _make(self, place: int, sides: list[int]) -> dict[int, NDArray[np.uint8]]:
        frame = self._decode(place)
        return {side: squash(frame, side) for side in sides}

    def _drop(self, square: Square) -> None:
        del self._given[square]
        future = self._made.pop(square)
        future.result().pop(square[1])  # the other sides of this frame may still be wanted
        self._held -= _bytes(square[1])


def squash(frame: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Squash an RGB frame (H, W, 3) to (side, side, 3), bicubic, without keeping the aspect."""
    return np.asarray(Image.fromarray(frame).resize((side, side), Image.Resampling.BICUBIC))


def _bytes(side: int) -> int:
    return 3 * side * side
