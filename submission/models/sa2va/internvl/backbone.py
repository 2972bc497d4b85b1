"""InternVL under Sa2VA: square images, one a line, and a language model that counts tokens."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from submission.errors import Fault
from submission.models.sa2va.backbone import Prompt
from submission.models.sa2va.internvl import prompt, vision
from submission.models.sa2va.internvl.config import Sa2VAConfig, read_config
from submission.models.sa2va.internvl.images import Images, faults, recognises, square_requests
from submission.models.sa2va.internvl.tensor_names import tensor_sources
from submission.models.sa2va.language import Prefix, read_prefix
from submission.models.sa2va.network import Network
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.tokenizer import SEG, Tokenizer, find_tokens
from submission.video.frame_loader import FrameLoader

__all__ = ["TEMPLATES", "TOKENS", "Backbone", "read_config", "recognises", "tensor_sources"]

TEMPLATES = tuple(prompt.TEMPLATES)  # chat templates that a call may name
TOKENS = (prompt.IMAGE_START, prompt.IMAGE_END, prompt.IMAGE_CONTEXT, SEG)


class Backbone:
    """The half of Sa2VA that sees and speaks, as InternVL does."""

    def __init__(
        self, network: Network, config: Sa2VAConfig, tokenizer: Tokenizer, device: torch.device,
        dtype: torch.dtype,
    ) -> None:  # fmt: skip
        self.network = network
        self.config = config
        self.tokenizer = tokenizer
        self.device = device
        self.dtype = dtype
        self._special_ids = find_tokens(tokenizer, TOKENS)
        self.seg_id = self._special_ids[SEG]

    @property
    def language(self) -> PreTrainedModel:
        return self.network.language

    @property
    def context(self) -> int:
        return int(self.config.llm.max_position_embeddings)

    def faults(self, settings: Settings) -> Iterator[Fault]:
        return faults(settings)

    def look(self, loader: FrameLoader, images: Images, settings: Settings) -> NDArray[np.uint8]:
        side = self.config.image_size
        seen = np.empty((len(images), side, side, 3), np.uint8)
        lengths = np.array([len(image) for image in images])
        for request in square_requests(images, side):
            seen[lengths == request.transform.frames_per_image] = loader.frames(request)
        return seen

    def prompt(
        self, images: int, question: str, size: tuple[int, int], settings: Settings
    ) -> Prompt:
        """Count the images' own `</img>`: they come first, whatever the question says."""
        text = prompt.build_prompt(
            self.config.template, question, images, self.config.tokens_per_frame
        )
        ids = self.tokenizer.encode(text)
        end = self._special_ids[prompt.IMAGE_END]
        ends = [place for place, token in enumerate(ids) if token == end]
        return Prompt(ids, ends[images - 1] + 1)

    def has_stopped(self, ids: Sequence[int]) -> bool:
        stop_words = prompt.TEMPLATES[self.config.template].stop_words
        return prompt.ends_with_stop_word(self.tokenizer.decode(ids), stop_words)

    def for_masks(self, states: Tensor, settings: Settings) -> Tensor:
        return states

    def read_images(self, images: NDArray[np.uint8], ids: Sequence[int]) -> Prefix:
        pixels = vision.normalise(images)
        tokens = self.network.vision(pixels.to(self.device, self.dtype))  # (M, P, C)
        start = torch.tensor(ids, device=self.device)
        embeddings = self.language.get_input_embeddings()(start)
        context = start == self._special_ids[prompt.IMAGE_CONTEXT]
        embeddings[context] = tokens.flatten(0, 1).to(embeddings.dtype)
        return read_prefix(self.language, embeddings)
