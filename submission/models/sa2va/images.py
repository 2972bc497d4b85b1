"""What the language model sees of frames, by a checkpoint's config.json alone; no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from submission.errors import FaultyInput
from submission.models.sa2va.internvl import images as internvl
from submission.models.sa2va.qwenvl import images as qwenvl
from submission.models.sa2va.settings import Settings
from submission.video.transforms import FrameRequest

KINDS: tuple[Any, ...] = (qwenvl, internvl)  # in the order of asking


def image_requests(
    config: Mapping[str, Any], images: Sequence[tuple[int, ...]], settings: Settings
) -> tuple[FrameRequest, ...]:
    """Return the frames to ask for, so that `images`, each of some frames, can be made.

    Raises FaultyInput for settings that make no sense with such a checkpoint, KeyError for a size
    that config.json lacks.
    """
    kind = next(kind for kind in KINDS if kind.recognises(config))
    if faults := list(kind.faults(settings)):
        raise FaultyInput("These settings do not fit the checkpoint:", faults)
    requests: tuple[FrameRequest, ...] = kind.image_requests(config, images, settings)
    return requests
