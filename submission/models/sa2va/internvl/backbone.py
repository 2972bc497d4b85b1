"""InternVL under Sa2VA: square images, one a line, and a language model that counts tokens."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from submission.models.sa2va.internvl import countable, prompt, vision
from submission.models.sa2va.internvl.config import Sa2VAConfig, read_config
from submission.models.sa2va.internvl.images import Images, square_requests
from submission.models.sa2va.internvl.prompting import TOKENS, Prompting
from submission.models.sa2va.internvl.tensor_names import tensor_sources
from submission.models.sa2va.kept_images import KeptImages
from submission.models.sa2va.language import Prefix, read_prefix
from submission.models.sa2va.network import Network
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.tokenizer import Tokenizer
from submission.video.frame_loader import FrameLoader

__all__ = ["TOKENS", "Backbone", "Prompting", "countable", "read_config", "tensor_sources"]


class Backbone(Prompting):
    """The half of Sa2VA that sees and speaks, as InternVL does."""

    def __init__(
        self, network: Network, config: Sa2VAConfig, tokenizer: Tokenizer, device: torch.device,
        dtype: torch.dtype,
    ) -> None:  # fmt: skip
        super().__init__(config, tokenizer)
        self.network = network
        self.device = device
        self.dtype = dtype

    @property
    def language(self) -> PreTrainedModel:
        return self.network.language

    def look(self, loader: FrameLoader, images: Images, settings: Settings) -> NDArray[np.uint8]:
        side = self.config.image_size
        seen = np.empty((len(images), side, side, 3), np.uint8)
        lengths = np.array([len(image) for image in images])
        for request in square_requests(images, side):
            seen[lengths == request.transform.frames_per_image] = loader.frames(request)
        return seen

    def for_masks(self, states: Tensor, settings: Settings) -> Tensor:
        return states

    def read_images(
        self, images: NDArray[np.uint8], ids: Sequence[int], kept: KeptImages | None = None
    ) -> Prefix:
        pixels = vision.normalise(images)
        tokens = self.network.vision(pixels.to(self.device, self.dtype))  # (M, P, C)
        start = torch.tensor(ids, device=self.device)
        embeddings = self.language.get_input_embeddings()(start)
        context = start == self._special_ids[prompt.IMAGE_CONTEXT]
        embeddings[context] = tokens.flatten(0, 1).to(embeddings.dtype)
        return read_prefix(self.language, embeddings)
