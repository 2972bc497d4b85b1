"""A loaded UNINEXT: what a sentence means in a frame.

Reads as the frame goes: encode the image once, read the sentences once, look for all of them
together, draw the mask of each winner alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from submission.models.uninext.config import FRAME_SIZE
from submission.models.uninext.network import ImageFeatures, UninextNetwork
from submission.models.uninext.tokenizer import SentenceTokenizer

# Statistics of ImageNet, of values from 0 to 255.
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
ENLARGE = 4  # from mask logits to pixels of the resized frame


@dataclass(frozen=True)
class Detection:
    """The one object that the sentence means on a frame."""

    mask: NDArray[np.bool_]  # (H, W)
    score: float  # 0 to 1: how well it fits the sentence and its box the object
    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels; may reach outside


@dataclass(frozen=True)
class Sentences:
    """E sentences as the text encoder understands them; serves every frame."""

    states: Tensor  # (E, L, D)
    real: Tensor  # (E, L) bool, False on padding


class Uninext:
    """UNINEXT for referring segmentation, from a released checkpoint."""

    def __init__(
        self,
        network: UninextNetwork,
        tokenizer: SentenceTokenizer,
        device: torch.device,
        sentences_at_once: int,
    ) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.device = device
        self.sentences_at_once = sentences_at_once  # that look at a frame together

    def segment_image(self, image: NDArray[np.uint8], sentence: str) -> Detection:
        """Find what a sentence means in a frame, uint8 RGB (H, W, 3)."""
        size = (image.shape[0], image.shape[1])
        features = self.encode_image(FRAME_SIZE(image))
        return self.detect(features, self.read([sentence]), size)[0]

    def read(self, sentences: Sequence[str]) -> Sentences:
        """Read sentences once for all frames of a video."""
        return self.read_ids([self.tokenizer.encode(sentence) for sentence in sentences])

    @torch.inference_mode()
    def read_ids(self, ids: Sequence[Sequence[int]]) -> Sentences:
        """Read sentences that are token ids already, without padding."""
        rows = [torch.tensor(row, device=self.device) for row in ids]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        real = torch.arange(padded.shape[1], device=self.device) < lengths[:, None]
        return Sentences(self.network.encode_text(padded, real), real)

    @torch.inference_mode()
    def encode_image(self, image: NDArray[np.uint8]) -> ImageFeatures:
        """Encode a resized frame, uint8 RGB (h, w, 3), once for all sentences."""
        pixels = torch.from_numpy(np.array(image)).to(self.device)
        mean, std = (torch.tensor(values, device=self.device) for values in (MEAN, STD))
        return self.network.encode_image(((pixels - mean) / std).permute(2, 0, 1))

    @torch.inference_mode()
    def detect(
        self, image: ImageFeatures, sentences: Sentences, original_size: tuple[int, int]
    ) -> list[Detection]:
        """Find what each sentence means; masks have `original_size` (height, width)."""
        found = []
        for states, real in zip(
            torch.split(sentences.states, self.sentences_at_once),
            torch.split(sentences.real, self.sentences_at_once),
            strict=True,
        ):
            found += self._detect_together(image, states, real, original_size)
        return found

    def _detect_together(
        self, image: ImageFeatures, states: Tensor, real: Tensor, original_size: tuple[int, int]
    ) -> list[Detection]:
        found = self.network.detect(image, states, real)
        scores, chosen = found.scores.max(1)
        masks = paint(self.network.draw(image, found, chosen), image.size, original_size)
        each = torch.arange(len(chosen), device=chosen.device)
        x, y, w, h = (found.boxes[each, chosen].cpu().double() * _scale(original_size)).unbind(1)
        boxes = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1).tolist()
        return [
            Detection(mask, score, (box[0], box[1], box[2], box[3]))
            for mask, score, box in zip(masks.cpu().numpy(), scores.tolist(), boxes, strict=True)
        ]


def paint(logits: Tensor, size: tuple[int, int], original_size: tuple[int, int]) -> Tensor:
    """Mask logits (E, h, w) to masks bool (E, *original_size).

    As in the published code: enlarged four times, the padding of the frame cut off, then the
    nearest value for each pixel of the original.
    """
    large = F.interpolate(logits[:, None], scale_factor=ENLARGE, mode="bilinear").sigmoid()
    cut = large[:, :, : size[0], : size[1]]
    return F.interpolate(cut, size=original_size)[:, 0] > 0.5


def _scale(size: tuple[int, int]) -> Tensor:
    return torch.tensor([size[1], size[0], size[1], size[0]], dtype=torch.float64)
