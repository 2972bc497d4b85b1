"""The backbones of Sa2VA: which one a config.json means, and what each says of it; no torch.

A backbone is a folder beside this file and a line in BACKBONES. The folder's `__init__` has KIND,
what is known before a network is built; its module `backbone` has the network's side (backbone.py
says what that is). Backbones never import each other, and nobody tells one from another: they are
asked.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import import_module
from typing import Any

from submission.errors import Fault, FaultyInput
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.sizes import Sizes
from submission.video.transforms import FrameRequest

BACKBONES = (  # in the order of asking; the last one names what nobody reads
    "submission.models.sa2va.qwenvl",
    "submission.models.sa2va.internvl",
)
Values = Mapping[str, Any]  # the content of config.json
Images = Sequence[tuple[int, ...]]  # the frames of each image that the language model sees


@dataclass(frozen=True)
class Kind:
    """What a backbone says of its checkpoints before a network is built."""

    name: str  # as messages have it
    package: str
    recognises: Callable[[Values], bool]
    image_requests: Callable[[Values, Images, Settings], tuple[FrameRequest, ...]]
    parse_sizes: Callable[[Values], Sizes]
    parts: Callable[[Values], dict[str, Any]]  # what decides the counts of its parts, as JSON
    language_layers: str  # how the names of tensors of the language model's layers begin
    vision_encoder: str = ""  # and of its vision encoder, where experts can share what it makes
    mosaics: bool = False  # whether checkpoints were trained on images of several frames
    reads: tuple[str, ...] = ()  # settings that no backbone reads but those that name them
    templates: tuple[str, ...] = ()  # chat templates that a call may choose, by name

    @property
    def code(self) -> tuple[str, str]:
        """The modules to hand in where a digest is made of its code (code_digest.py)."""
        return self.package, f"{self.package}.backbone"

    def network(self) -> Any:
        """Return its module `backbone`; torch is needed from here on."""
        return import_module(f"{self.package}.backbone")

    def faults(self, settings: Settings) -> Iterator[Fault]:
        """The settings that make no sense with its checkpoints, or have no effect."""
        unread = own_settings().difference(self.reads)
        for item in fields(Settings):
            if item.name in unread and getattr(settings, item.name) != item.default:
                words = f"it has no effect with a checkpoint of the {self.name} kind"
                yield Fault(item.name, words)
        if PROCEDURES[settings.procedure].mosaics and not self.mosaics:
            known = ", ".join(name for name, way in PROCEDURES.items() if not way.mosaics)
            yield Fault(
                "procedure",
                f'it is "{settings.procedure}", for which no {self.name} checkpoint was trained; '
                f"known: {known}",
            )


@cache
def kinds() -> tuple[Kind, ...]:
    """Return what all backbones say, in the order of asking."""
    return tuple(import_module(package).KIND for package in BACKBONES)


def kind_of(values: Values) -> Kind:
    """Return the first kind that recognises the content of a config.json."""
    return next(kind for kind in kinds() if kind.recognises(values))


def parse_sizes(values: Values) -> Sizes:
    """Return the sizes that a config.json states; raise KeyError for one that is missing.

    Raises ValueError for a family that is not built.
    """
    return kind_of(values).parse_sizes(values)


def own_settings() -> frozenset[str]:
    """Return the settings that not every backbone reads."""
    return frozenset(name for kind in kinds() for name in kind.reads)


def templates() -> tuple[str, ...]:
    """Return the chat templates that a call may choose with one checkpoint or another."""
    return tuple(name for kind in kinds() for name in kind.templates)


def image_requests(values: Values, images: Images, settings: Settings) -> tuple[FrameRequest, ...]:
    """Return the frames to ask for, so that `images`, each of some frames, can be made.

    Raises FaultyInput for settings that make no sense with such a checkpoint, KeyError for a size
    that config.json lacks.
    """
    kind = kind_of(values)
    if faults := list(kind.faults(settings)):
        raise FaultyInput("These settings do not fit the checkpoint:", faults)
    return kind.image_requests(values, images, settings)
