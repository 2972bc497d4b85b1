"""Qwen-VL under Sa2VA: images of any aspect, and a language model that counts them by their sides.

One way for Qwen2.5-VL and Qwen3-VL; they differ in their vision encoder, in features that Qwen3-VL
adds after the first layers (DeepStack), and in whether masks want the state before the final norm.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from submission.models.sa2va.kept_images import KeptImages
from submission.models.sa2va.language import Prefix, read_prefix
from submission.models.sa2va.network import Network, Speaker
from submission.models.sa2va.qwenvl import countable, prompt, vision
from submission.models.sa2va.qwenvl import images as seen
from submission.models.sa2va.qwenvl.config import QwenVLConfig, read_config
from submission.models.sa2va.qwenvl.positions import positions_of
from submission.models.sa2va.qwenvl.prompting import TOKENS, Prompting
from submission.models.sa2va.qwenvl.tensor_names import tensor_sources
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.tokenizer import Tokenizer
from submission.video.frame_loader import FrameLoader

__all__ = [
    "TOKENS", "Backbone", "Prompting", "Reader", "countable", "read_config", "tensor_sources",
]  # fmt: skip


class Reader(Prompting):
    """Qwen-VL, which sees and speaks; it may be a plain one."""

    def __init__(
        self, network: Speaker, config: QwenVLConfig, tokenizer: Tokenizer, device: torch.device,
        dtype: torch.dtype,
    ) -> None:  # fmt: skip
        super().__init__(config, tokenizer)
        self.network = network
        self.device = device
        self.dtype = dtype
        self._levels = vision.levels(config.mean, config.std)

    @property
    def language(self) -> PreTrainedModel:
        return self.network.language

    def look(
        self, loader: FrameLoader, images: Sequence[tuple[int, ...]], settings: Settings
    ) -> NDArray[np.uint8]:
        (request,) = seen.image_requests(self.config.values, images, settings)
        return loader.frames(request)

    def read_images(
        self, images: NDArray[np.uint8], ids: Sequence[int], kept: KeptImages | None = None
    ) -> Prefix:
        kept = kept or KeptImages(0)
        all_seen = [kept.of(image, partial(self._see, image)) for image in images]
        cells = self.cells(images.shape[1:3])
        start = torch.tensor(ids, device=self.device)
        embeddings = self.language.get_input_embeddings()(start)
        image = self._special_ids[prompt.IMAGE]
        shown = start == image
        embeddings[shown] = torch.cat([one.tokens for one in all_seen]).to(embeddings.dtype)
        places = torch.from_numpy(positions_of(ids, image, cells)).to(self.device)
        deep = [torch.cat(layer) for layer in zip(*(one.deep for one in all_seen), strict=True)]
        if not deep:
            return read_prefix(self.language, embeddings, places)
        return read_prefix(
            self.language, embeddings, places, visual_pos_masks=shown[None],
            deepstack_visual_embeds=deep,
        )  # fmt: skip

    def _see(self, image: NDArray[np.uint8]) -> vision.Seen:
        patches = vision.cut(image, self._levels, self.config.patch, self.config.merge)
        rows, columns = self.cells(image.shape[:2])
        grid = rows * self.config.merge, columns * self.config.merge
        return vision.see(self.network.vision, patches.to(self.device, self.dtype), grid)


class Backbone(Reader):
    """The half of Sa2VA that sees and speaks, as Qwen-VL does."""

    network: Network

    def for_masks(self, states: Tensor, settings: Settings) -> Tensor:
        """Qwen3-VL's masks were trained on the state before the final norm, Qwen2.5-VL's after."""
        wanted = settings.hidden_state
        if wanted == "as trained":
            wanted = "before the norm" if self.config.is_qwen3 else "after the norm"
        return states if wanted == "before the norm" else self._norm(states)

    def _norm(self, states: Tensor) -> Tensor:
        normed: Tensor = self.language.lm_head.norm(states)
        return normed
