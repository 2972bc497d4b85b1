"""Frames of a video as the images that models look at, made ahead in threads, in bounded memory.

Knows a function that decodes one frame; knows nothing of files, datasets or models.
"""

import time as clock
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future

import numpy as np

from submission.video.transforms import Frame, FrameRequest, Transform

BUDGET_BYTES = 512 << 20  # of images that may wait: 160 frames at SAM 2's 1024 x 1024

Decode = Callable[[int], Frame]  # index of a frame in the video -> RGB (H, W, 3)
Frames = tuple[int, ...]  # the indices that make one image
_Image = tuple[Frames, Transform]


class FrameLoader:
    """Images of one video's frames; all that it keeps, asked ahead or not, is within one budget.

    Images are made ahead in the order in which they were asked for, while the budget lasts; one
    that was given makes room for others when there is none. What is not there when it is asked for
    is made then, straight into the result where the budget is spent: the budget bounds memory and
    never what comes out. Beside it are the frame that each decoding thread has in hand, and
    results, which are the caller's. For one thread to use.
    """

    def __init__(
        self, decode: Decode, shape: tuple[int, int, int], pool: Executor,
        budget_bytes: int = BUDGET_BYTES,
    ) -> None:  # fmt: skip
        self.shape = shape  # (T, H, W)
        self.decoded = 0  # frames, each time they were decoded
        self.waited = 0.0  # seconds that `frames` waited for threads
        self.held = 0  # bytes of images that are kept, made or under way
        self._decode = decode
        self._pool = pool
        self._budget_bytes = budget_bytes
        self._wanted: dict[Frames, list[Transform]] = {}  # not begun, in order
        self._made: dict[_Image, Future[dict[_Image, Frame]]] = {}
        self._given: dict[_Image, None] = {}  # longest ago first

    def prefetch(self, requests: Iterable[FrameRequest]) -> None:
        """Make these images ahead, in this order, unless they are there.

        A frame that is wanted in several ways before it is begun is decoded once for all of them.
        """
        for request in requests:
            for frames in request.images():
                wanted = self._wanted.get(frames, [])
                known = (frames, request.transform) in self._made or request.transform in wanted
                if not known:
                    self._wanted[frames] = [*wanted, request.transform]
        self._fill()

    def frames(self, request: FrameRequest, into: Frame | None = None) -> Frame:
        """Return the images of a request as uint8 (N, h, w, 3) RGB, in the array `into` if given.

        Raises what decoding a frame raised.
        """
        images = [(frames, request.transform) for frames in request.images()]
        for image in images:
            self._given.pop(image, None)  # not to be dropped before it is copied
        shape = (len(images), *self._size(request.transform), 3)
        result = np.empty(shape, np.uint8) if into is None else into
        begun = [self._begin_now(*pair) for pair in zip(images, result, strict=True)]
        started = clock.perf_counter()
        for image, future, place in zip(images, begun, result, strict=True):
            if (made := future.result().get(image)) is not None:
                place[:] = made
        self.waited += clock.perf_counter() - started
        self._given |= dict.fromkeys(image for image in images if image in self._made)
        self._fill()
        return result

    def close(self) -> None:
        """Drop everything; what was not begun is not made."""
        self._wanted.clear()
        for future in self._made.values():
            future.cancel()
        self._made.clear()
        self._given.clear()
        self.held = 0

    def _fill(self) -> None:
        """Begin with what is wanted, as far as the budget goes."""
        while self._wanted:
            frames, transforms = next(iter(self._wanted.items()))
            if not self._begin_some([(frames, transform) for transform in transforms]):
                return

    def _begin_now(self, image: _Image, place: Frame) -> Future[dict[_Image, Frame]]:
        """Begin with an image that is asked for; one that finds no room goes to its place alone."""
        if image in self._made or self._begin_some([image]):
            return self._made[image]
        self.decoded += len(image[0])
        self._forget_wish(image)
        return self._pool.submit(self._make_in, place, image)

    def _begin_some(self, images: list[_Image]) -> bool:
        """Begin with these images, and with all that the same frames are wanted for if it fits.

        Returns False when not even these find room.
        """
        frames = images[0][0]
        sources = dict.fromkeys([frames, *((index,) for index in frames)])
        wanted = [(source, one) for source in sources for one in self._wanted.get(source, ())]
        for some in (list(dict.fromkeys([*images, *wanted])), images):
            if self._make_room(some):
                self._begin(frames, some)
                return True
        return False

    def _begin(self, frames: Frames, images: Sequence[_Image]) -> None:
        future = self._pool.submit(self._make, frames, images)
        self._made |= dict.fromkeys(images, future)
        self.held += self._bytes(images)
        self.decoded += len(frames)
        for image in images:
            self._forget_wish(image)

    def _forget_wish(self, image: _Image) -> None:
        """What is begun is not wanted any more."""
        source, transform = image
        wanted = self._wanted.get(source, [])
        if transform in wanted:
            wanted.remove(transform)
        if not wanted:
            self._wanted.pop(source, None)

    def _make(self, frames: Frames, images: Sequence[_Image]) -> dict[_Image, Frame]:
        decoded = {index: self._decode(index) for index in frames}
        return {image: image[1](*(decoded[index] for index in image[0])) for image in images}

    def _make_in(self, place: Frame, image: _Image) -> dict[_Image, Frame]:
        frames, transform = image
        place[:] = transform(*map(self._decode, frames))
        return {}

    def _make_room(self, images: Sequence[_Image]) -> bool:
        """Drop what was given until these images fit; tell whether they do."""
        most = self._budget_bytes - self._bytes(images)
        if self.held - self._bytes(self._given) > most:
            return False
        while self.held > most:
            self._drop(next(iter(self._given)))
        return True

    def _drop(self, image: _Image) -> None:
        del self._given[image]
        self._made.pop(image).result().pop(image)  # others of its frames may still be wanted
        self.held -= self._bytes([image])

    def _bytes(self, images: Iterable[_Image]) -> int:
        return sum(3 * height * width for height, width in (self._size(one[1]) for one in images))

    def _size(self, transform: Transform) -> tuple[int, int]:
        return transform.size(*self.shape[1:])
