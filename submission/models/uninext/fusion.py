"""Where sentence and image first meet: each attends to the other, once, before the encoder."""

import torch
from torch import Tensor, nn

from submission.models.uninext.config import FUSION_HEADS, UninextConfig

LIMIT = 50000.0  # of scores, as in the published code, so that float16 could hold them


class CrossAttention(nn.Module):
    """Attention in both directions over one table of scores."""

    def __init__(self, vision: int, language: int, width: int) -> None:
        super().__init__()
        self.v_proj = nn.Linear(vision, width)
        self.l_proj = nn.Linear(language, width)
        self.values_v_proj = nn.Linear(vision, width)
        self.values_l_proj = nn.Linear(language, width)
        self.out_v_proj = nn.Linear(width, vision)
        self.out_l_proj = nn.Linear(width, language)

    def forward(self, image: Tensor, text: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Image (E, S, C) and text (E, L, D), whose tokens are `real` (E, L), to changes of both.

        Padding of the text is not attended to; padding of the image is, as it was in training.
        """
        queries = _split(self.v_proj(image)) * (self.v_proj.out_features // FUSION_HEADS) ** -0.5
        scores = (queries @ _split(self.l_proj(text)).mT).clamp(-LIMIT, LIMIT)  # (E, heads, S, L)
        to_text = scores.masked_fill(~real[:, None, None, :], -torch.inf).softmax(-1)
        to_image = scores.mT.softmax(-1)
        image_change = _join(to_text @ _split(self.values_l_proj(text)))
        text_change = _join(to_image @ _split(self.values_v_proj(image)))
        return self.out_v_proj(image_change), self.out_l_proj(text_change)


class Fusion(nn.Module):
    """Normalise both, attend, add the scaled changes to what was normalised (not to the input)."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        vision, language = config.width, config.text.width
        self.layer_norm_v = nn.LayerNorm(vision)
        self.layer_norm_l = nn.LayerNorm(language)
        self.attn = CrossAttention(vision, language, config.fusion_width)
        self.gamma_v = nn.Parameter(torch.empty(vision))
        self.gamma_l = nn.Parameter(torch.empty(language))

    def forward(self, image: Tensor, text: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Image (E, S, C), text (E, L, D), real (E, L) bool, to image and text after fusion."""
        image, text = self.layer_norm_v(image), self.layer_norm_l(text)
        image_change, text_change = self.attn(image, text, real)
        return image + self.gamma_v * image_change, text + self.gamma_l * text_change


def _split(x: Tensor) -> Tensor:
    """(E, N, heads * d) to (E, heads, N, d)."""
    return x.reshape(*x.shape[:-1], FUSION_HEADS, -1).transpose(1, 2)


def _join(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(-2)
