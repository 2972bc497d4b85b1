"""The frames of a video as small pictures on one sheet, as fine as its share of bytes allows.

One file per video: its sentences share it, and the page loads it when a sentence is opened.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, sqrt

from PIL import Image

from submission.dataset.frame_files import FrameFiles, Place, find_frame
from submission.dataset.images import BrokenImage, decode_small
from submission.dataset.records import Video

LARGEST_TILE = 640 * 360  # pixels of one frame
LARGEST_SHEET = 40_000_000  # pixels; browsers hold four bytes for each
BYTES_PER_PIXEL = 0.08  # WebP at quality 50, measured on real video
QUALITIES = (80, 65, 50, 35, 20)  # the first that is small enough is taken
BROKEN = (128, 128, 128)  # grey, for a frame that cannot be read


@dataclass(frozen=True)
class Sheet:
    """A WebP file of tiles, (width, height) pixels each, row by row in the order of the frames."""

    content: bytes
    tile: tuple[int, int]
    columns: int
    broken: tuple[str, ...]  # frames shown in grey, each with the reason


def draw_sheet(files: FrameFiles, video: Video, allowance: float) -> Sheet:
    """Return the frames of a video on a sheet of about `allowance` bytes at most.

    A frame that is missing or damaged becomes grey and is listed: the masks can be looked at
    without it.
    """
    tile = _tile(video, allowance)
    columns = ceil(sqrt(len(video.frame_names)))
    rows = ceil(len(video.frame_names) / columns)
    sheet = Image.new("RGB", (columns * tile[0], rows * tile[1]), BROKEN)
    places, broken = files.places(video.name) or {}, []
    for index, frame in enumerate(video.frame_names):
        row, column = divmod(index, columns)
        try:
            picture = _read(places, frame, tile)
        except (BrokenImage, OSError) as error:
            broken.append(f"video {video.name}, frame {frame}: {error}")
        else:
            sheet.paste(picture, (column * tile[0], row * tile[1]))
    return Sheet(_compress(sheet, allowance), tile, columns, tuple(broken))


def _read(places: Mapping[str, Place], frame: str, tile: tuple[int, int]) -> Image.Image:
    place = find_frame(places, frame)
    if place is None:
        raise BrokenImage("the frame is missing")
    return decode_small(place.read(), tile)


def _tile(video: Video, allowance: float) -> tuple[int, int]:
    """Return (width, height) of a tile: like the frame, and never larger than it."""
    frames = len(video.frame_names)
    height, width = video.size
    pixels = min(
        LARGEST_TILE, LARGEST_SHEET / frames, allowance / frames / BYTES_PER_PIXEL, height * width
    )
    scale = sqrt(pixels / (height * width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _compress(sheet: Image.Image, allowance: float) -> bytes:
    for quality in QUALITIES:
        content = io.BytesIO()
        sheet.save(content, "WEBP", quality=quality, method=2)
        if content.tell() <= allowance:
            break
    return content.getvalue()
