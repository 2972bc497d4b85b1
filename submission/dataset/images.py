"""Open the bytes of an image and say in one sentence why they cannot be read.

The one place that knows which exceptions Pillow raises for damaged files, and which modes of
pictures mean what a frame or mask means; frames and masks are read through it, and it knows
nothing of either. Size and mode are looked at in the header, before a pixel is decoded.
"""

import io
import struct
import warnings
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from submission.files.mistaken import mistaken_for

_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
# Of 90 to 180 megapixels Pillow only warns, in words for programmers; no frame is so large.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

_EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END_MARKS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xae\x42\x60\x82"}


class BrokenImage(ValueError):
    """The bytes are no image or a damaged one; the message is a reason without a place."""


def open_image(content: bytes) -> Image.Image:
    """Read the header only; raise BrokenImage when there is none."""
    if reason := mistaken_for(content):
        raise BrokenImage(reason)
    try:
        return Image.open(io.BytesIO(content))
    except _PILLOW_ERRORS as error:
        raise BrokenImage(_reason(error)) from error


def decode_image(content: bytes, size: tuple[int, int] | None = None) -> Image.Image:
    """Read the whole image, with a mode as stored.

    Raises BrokenImage when bytes are missing, and before decoding when the mode has no one
    meaning or the image is not of `size` (height, width).
    """
    image = open_image(content)
    if reason := mode_fault(image) or size_fault((image.height, image.width), size):
        raise BrokenImage(reason)
    if image.format == "PNG":
        _check_chunks(content)
    try:
        image.load()
    except _PILLOW_ERRORS as error:
        raise BrokenImage(_reason(error)) from error
    return image


def decode_rgb(content: bytes, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return the image as uint8 (H, W, 3) RGB; 16-bit grey by its high byte.

    Raises BrokenImage as `decode_image`.
    """
    return np.asarray(_as_rgb(decode_image(content, size)), dtype=np.uint8)


def high_byte(image: Image.Image) -> NDArray[np.uint8] | None:
    """Return the high byte of 16-bit grey as uint8 (H, W), None for an image of another mode.

    Pillow itself cuts such values off at 255, which makes nearly all of a frame white.
    """
    return (np.asarray(image) >> 8).astype(np.uint8) if image.mode in _SIXTEEN_BITS else None


def mode_fault(image: Image.Image) -> str | None:
    """Say why the pixels of this mode have no one meaning as colours, or None when they have."""
    if image.mode in (*_EIGHT_BITS, *_SIXTEEN_BITS):
        return None
    return f"a picture of mode {image.mode}; store 8 bits a channel, as grey or RGB"


def size_fault(found: tuple[int, int], wanted: tuple[int, int] | None) -> str | None:
    """Say that a picture is not of the size of its video, both (height, width)."""
    if wanted is None or found == wanted:
        return None
    return f"{found[1]} x {found[0]} pixels, but the video has {wanted[1]} x {wanted[0]}"


def most_bytes(size: tuple[int, int]) -> int:
    """Return how large the file of a frame or mask of (height, width) can be at most.

    Eight bytes a pixel are 16-bit RGBA without any compression; the rest is for metadata.
    """
    return size[0] * size[1] * 8 + (1 << 20)


def decode_small(content: bytes, size: tuple[int, int]) -> Image.Image:
    """Return the image as RGB in `size`, (width, height); raise BrokenImage when it is damaged.

    A JPEG is decoded at the smallest of its own scales that is not below `size`: 1080p to 300 x 169
    takes 4 ms instead of 16.
    """
    image = open_image(content)
    try:
        image.draft("RGB", size)
        return _as_rgb(image).resize(size, Image.Resampling.BILINEAR)
    except _PILLOW_ERRORS as error:
        raise BrokenImage(_reason(error)) from error


def ends_properly(image_format: str | None, tail: bytes) -> bool:
    """Tell from the last bytes of a file whether it surely was not cut off.

    False means "look closer", not "damaged": some writers pad their files.
    """
    mark = _END_MARKS.get(image_format or "")
    return mark is not None and tail.endswith(mark)


def _as_rgb(image: Image.Image) -> Image.Image:
    grey = high_byte(image)
    if grey is not None:
        image = Image.fromarray(grey)
    return image if image.mode == "RGB" else image.convert("RGB")


def _check_chunks(content: bytes) -> None:
    """Raise BrokenImage unless each chunk of a PNG has its checksum and the last is there.

    Pillow compares no checksum of pixel data and stops at the last pixel; other readers refuse
    such files.
    """
    start = len(_PNG_SIGNATURE)
    while start + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, start)
        end = start + 8 + length
        if end + 4 > len(content):
            break
        if zlib.crc32(content[start + 4 : end]) != struct.unpack_from(">I", content, end)[0]:
            raise BrokenImage(f"damaged: the checksum of its {kind.decode('latin-1')} is wrong")
        if kind == b"IEND":
            return
        start = end + 4
    raise BrokenImage("damaged or cut off: its end is missing")


def _reason(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"larger than any frame: {error}"
    return f"damaged or cut off: {error}"
