"""The sizes of a checkpoint that decide its cost, by its config.json alone; no torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from submission.errors import InputError
from submission.models.sa2va.config_file import read_values
from submission.models.sa2va.internvl import images as internvl_images
from submission.models.sa2va.internvl import sizes as internvl
from submission.models.sa2va.language_sizes import LanguageSizes
from submission.models.sa2va.qwenvl import images as qwenvl_images
from submission.models.sa2va.qwenvl import sizes as qwenvl
from submission.models.sa2va.settings import Settings
from submission.models.sam2.sizes import GroundingConfig
from submission.models.unit_calls import Calls

KINDS: tuple[tuple[Any, Any], ...] = (  # in the order of asking
    (qwenvl_images, qwenvl),
    (internvl_images, internvl),
)
Size = tuple[int, int]  # height and width of frames, pixels


class Sizes(Protocol):
    """What the cost of a video hangs on; each backbone reads its own."""

    @property
    def language(self) -> LanguageSizes:
        """Of the language model."""

    @property
    def grounding(self) -> GroundingConfig:
        """Of SAM 2."""

    def prefix_tokens(self, images: int, size: Size, settings: Settings) -> int:
        """Tokens of a prompt up to its last image, for frames of `size`."""

    def see(self, images: int, size: Size, settings: Settings) -> Calls:
        """The vision encoder over images of such frames."""

    def vision_weights(self) -> Calls:
        """Parameters of the vision encoder, with what projects its tokens."""

    def vision_bytes(self, images: int, size: Size, settings: Settings, value_bytes: int) -> float:
        """Bytes of the vision encoder's activations."""


def read_sizes(folder: Path) -> Sizes:
    """Read `folder/config.json`; raise InputError when it is missing or lacks a size."""
    path = folder / "config.json"
    values = read_values(folder)
    try:
        return parse_sizes(values)
    except KeyError as error:
        raise InputError(f"{path}: the key {error} is missing; fetch the file again") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}") from None


def parse_sizes(values: Mapping[str, Any]) -> Sizes:
    """Turn the content of config.json into sizes; raise KeyError for a missing one.

    Raises ValueError for a family that is not built.
    """
    sizes: Sizes = _kind(values).parse_sizes(values)
    return sizes


def parts_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the counts of vision encoder and language model, as JSON, by part."""
    parts: dict[str, Any] = _kind(values).parts(values)
    return parts


def _kind(values: Mapping[str, Any]) -> Any:
    return next(kind for images, kind in KINDS if images.recognises(values))
