"""The frames of a video as one array, decoded by several threads.

Knows the records and where bytes lie; knows nothing of models, sampling or masks.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray

from submission.dataset.frame_files import FrameFiles, Place, find_frame, open_frame_files
from submission.dataset.images import BrokenImage, decode_rgb, most_bytes
from submission.dataset.records import Split, Video
from submission.errors import InputError

DECODERS = min(16, os.cpu_count() or 1)  # threads; Pillow decodes outside the interpreter lock


class FrameSource:
    """Reads whole videos, from a folder or a tar alike; safe to use from several threads."""

    def __init__(self, files: FrameFiles) -> None:
        self._files = files

    def read(self, video: Video, indices: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Return the frames as uint8 (T, H, W, 3) RGB, or only those at `indices`, in order.

        Raises InputError, naming file and video, when a frame is missing, damaged, or of
        another size than the video.
        """
        chosen = range(len(video.frame_names)) if indices is None else indices
        height, width = video.size
        frames = np.empty((len(chosen), height, width, 3), dtype=np.uint8)
        decode_one = self.reader(video)

        def decode(slot: int) -> None:
            frames[slot] = decode_one(chosen[slot])

        with ThreadPoolExecutor(DECODERS) as pool:
            list(pool.map(decode, range(len(chosen))))  # the list makes a thread's error ours
        return frames

    def reader(self, video: Video) -> Callable[[int], NDArray[np.uint8]]:
        """Return what decodes one frame of a video, by its place, as uint8 (H, W, 3) RGB.

        It raises what `read` raises, and may be called from several threads.
        """
        places = cache(lambda: self._files.places(video.name) or {})
        return lambda index: self._decode(video, places(), video.frame_names[index])

    def _decode(self, video: Video, places: dict[str, Place], name: str) -> NDArray[np.uint8]:
        place = find_frame(places, name)
        if place is None:
            raise InputError(
                f"{self._files.where(video.name)}: frame {name} of video {video.name} is missing"
            )
        try:
            return decode_rgb(place.read(most=most_bytes(video.size)), video.size)
        except OSError as error:
            raise InputError(f"{place} (video {video.name}): cannot be read: {error}") from error
        except BrokenImage as error:
            raise InputError(
                f"{place} (video {video.name}): {error}; copy or download this file again"
            ) from error


def open_frames(split: Split) -> FrameSource:
    """Open the frames of a split; raise InputError when it has none."""
    return FrameSource(open_frame_files(split.folder))
