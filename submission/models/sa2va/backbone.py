"""What differs between the vision-language models that Sa2VA is built on: five things, no more.

This is the side of the network; what is known before one is built stands in registry.py. A folder
beside this file has a module `backbone` with `read_config`, `tensor_sources`, `TOKENS` (the special
ones that it needs), `countable` (its modules with few layers, on which work is counted), and the
classes `Prompting` and `Backbone`. What is shared behind one prefix (language.py), procedures and
SAM 2 do not know which it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from submission.errors import Fault
from submission.models.sa2va.kept_images import KeptImages
from submission.models.sa2va.language import Prefix
from submission.models.sa2va.network import Config, Network
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.tokenizer import Tokenizer
from submission.video.frame_loader import FrameLoader


@dataclass(frozen=True)
class Prompt:
    """A prompt as token ids; the first `shared` of them, the images, are equal for all sentences.

    Their number is known by construction: nothing that a sentence says changes it.
    """

    ids: list[int]
    shared: int

    @property
    def question(self) -> list[int]:
        """What stands behind the images: the question and the turn of the answer."""
        return self.ids[self.shared :]


class Prompting(Protocol):
    """What a vision-language model is asked with: known from config.json and tokenizer alone."""

    tokenizer: Tokenizer
    seg_id: int  # the token whose state becomes the prompt of the mask decoder

    @property
    def context(self) -> int:
        """The most tokens that the language model was trained to read."""

    def faults(self, settings: Settings) -> Iterator[Fault]:
        """The settings that make no sense with this kind of checkpoint, or have no effect."""

    def prompt(
        self, images: int, question: str, size: tuple[int, int], settings: Settings
    ) -> Prompt:
        """Return the prompt that shows so many images and asks `question` after them.

        `size` is height and width of the video's frames, in pixels.
        """

    def has_stopped(self, ids: Sequence[int]) -> bool:
        """Tell whether an answer ends here, beside the tokenizer's own end."""


class Backbone(Prompting, Protocol):
    """A vision-language model: images and a question in, tokens and their states out."""

    network: Network
    config: Config
    device: torch.device
    dtype: torch.dtype

    @property
    def language(self) -> PreTrainedModel:
        """The language model; its `model` gives the states of which a [SEG]'s makes a mask.

        `lm_head` reads the same states. So a backbone whose masks want the state before the final
        norm has that norm in its `lm_head`.
        """

    def look(
        self, loader: FrameLoader, images: Sequence[tuple[int, ...]], settings: Settings
    ) -> NDArray[np.uint8]:
        """Return the images that these frames make, uint8 RGB (M, h, w, 3), in this order."""

    def for_masks(self, states: Tensor, settings: Settings) -> Tensor:
        """Return of [SEG] states (n, C), as `language.model` gives them, what makes masks."""

    def read_images(
        self, images: NDArray[np.uint8], ids: Sequence[int], kept: KeptImages | None = None
    ) -> Prefix:
        """Let the language model read the shared ids, with images (M, h, w, 3) in their places.

        The prefix says at which position the next token stands. `kept` holds what an equal vision
        encoder made of images before, for a backbone that looks at them one by one.
        """
