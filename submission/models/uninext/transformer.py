"""Encoder and decoder: deformable attention over all feature maps, and boxes refined by layers.

Everything here works on E sentences of one image at once.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DeformableDetrConfig
from transformers.models.deformable_detr.modeling_deformable_detr import (
    DeformableDetrMultiscaleDeformableAttention,
)

from submission.models.uninext.config import POINTS, UninextConfig
from submission.models.uninext.feature_map import FeatureMaps, sine

LEAST = 1e-5  # that a share and what is left of it are taken to be, so that logits are finite


def logit(share: Tensor) -> Tensor:
    """The inverse of the sigmoid, finite also at 0 and 1."""
    return torch.log(share.clamp(min=LEAST) / (1 - share).clamp(min=LEAST))


class DeformableAttention(nn.Module):
    """Multi-scale deformable attention in plain torch; that of transformers, with our arguments."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        sizes = DeformableDetrConfig(d_model=config.width, num_feature_levels=config.levels)
        self.inner = DeformableDetrMultiscaleDeformableAttention(sizes, config.heads, POINTS)

    def forward(self, queries: Tensor, where: Tensor, values: Tensor, maps: FeatureMaps) -> Tensor:
        """Queries (E, Q, C) at `where` (E or 1, Q, L, 2 or 4) look at values (E, S, C)."""
        attended: Tensor = self.inner(
            queries,
            attention_mask=maps.valid[None].expand(len(queries), -1),
            encoder_hidden_states=values,
            reference_points=where,
            spatial_shapes=maps.table,
            spatial_shapes_list=list(maps.sizes),
        )[0]
        return attended


class Feedforward(nn.Module):
    """Two linear layers whose change is added, and nothing normalised."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        self.linear1 = nn.Linear(config.width, config.feedforward)
        self.linear2 = nn.Linear(config.feedforward, config.width)

    def add_change(self, x: Tensor) -> Tensor:
        changed: Tensor = x + self.linear2(F.relu(self.linear1(x)))
        return changed


class EncoderLayer(Feedforward):
    """Tokens of the image look at their surroundings on all levels."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__(config)
        self.self_attn = DeformableAttention(config)
        self.norm1 = nn.LayerNorm(config.width)
        self.norm2 = nn.LayerNorm(config.width)

    def forward(self, x: Tensor, positions: Tensor, where: Tensor, maps: FeatureMaps) -> Tensor:
        x = self.norm1(x + self.self_attn(x + positions, where, x, maps))
        normed: Tensor = self.norm2(self.add_change(x))
        return normed


class DecoderLayer(Feedforward):
    """Queries look at each other, then at the image."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__(config)
        self.self_attn = nn.MultiheadAttention(config.width, config.heads, batch_first=True)
        self.cross_attn = DeformableAttention(config)
        self.norm1 = nn.LayerNorm(config.width)
        self.norm2 = nn.LayerNorm(config.width)
        self.norm3 = nn.LayerNorm(config.width)

    def forward(
        self, x: Tensor, positions: Tensor, where: Tensor, memory: Tensor, maps: FeatureMaps
    ) -> Tensor:
        placed = x + positions
        x = self.norm2(x + self.self_attn(placed, placed, x, need_weights=False)[0])
        x = self.norm1(x + self.cross_attn(x + positions, where, memory, maps))
        normed: Tensor = self.norm3(self.add_change(x))
        return normed


class Perceptron(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(inputs, outputs) for inputs, outputs in pairwise(widths)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        last: Tensor = self.layers[-1](x)
        return last


class Encoder(nn.Module):
    """Six layers over all tokens of the image."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))

    def forward(self, image: Tensor, positions: Tensor, maps: FeatureMaps) -> Tensor:
        """Tokens (E, S, C) and their positions (S, C) to memory (E, S, C)."""
        where = (maps.centres[:, None] * maps.filled)[None]  # (1, S, L, 2), padding counted
        for layer in self.layers:
            image = layer(image, positions, where, maps)
        return image


class Decoder(nn.Module):
    """Six layers over the queries; each moves the boxes of its queries."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        # Sines of the four numbers of a box, half a width each.
        self.ref_point_head = Perceptron(2 * config.width, config.width, config.width)

    def forward(
        self, x: Tensor, boxes: Tensor, memory: Tensor, maps: FeatureMaps, movers: nn.ModuleList
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (E, Q, C) with boxes (E, Q, 4) to queries, and boxes before and after the end.

        Boxes are centre and size (x, y, w, h) in parts of the image; `movers` has one perceptron
        for each layer, whose result is added to a box's logits.
        """
        before = boxes
        half = memory.shape[-1] // 2
        scale = maps.filled.repeat(1, 2)  # (L, 4)
        for layer, mover in zip(self.layers, movers, strict=False):
            where = boxes[:, :, None] * scale  # (E, Q, L, 4)
            x1, y1, w, h = sine(where[:, :, 0], half).unbind(-2)
            positions = self.ref_point_head(torch.cat([y1, x1, w, h], -1))
            x = layer(x, positions, where, memory, maps)
            before, boxes = boxes, (mover(x) + logit(boxes)).sigmoid()
        return x, before, boxes
