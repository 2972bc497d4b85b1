"""What is read from the queries: how well each fits the sentence, its box, and the mask of one."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from submission.models.uninext.config import UninextConfig
from submission.models.uninext.feature_map import FeatureMaps
from submission.models.uninext.transformer import Perceptron

STRIDE = 8  # pixels of the image in one of the mask features; masks come out at half of it
LIMIT = 50000.0  # of logits, as in the published code


class SentenceMatch(nn.Module):
    """How well a query fits the sentence: a dot product with the pooled text."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        self.dot_product_projection_text = nn.Linear(config.text.width, config.width)
        self.log_scale = nn.Parameter(torch.empty(1))
        self.bias_lang = nn.Parameter(torch.empty(config.text.width))
        self.bias0 = nn.Parameter(torch.empty(1))

    def forward(self, queries: Tensor, sentence: Tensor) -> Tensor:
        """Queries (E, Q, C) and pooled text (E, D) to logits (E, Q)."""
        sentence = F.normalize(sentence, dim=-1)
        projected = self.dot_product_projection_text(sentence / 2)  # (E, C)
        bias = sentence @ self.bias_lang + self.bias0  # (E,)
        fit = (queries @ projected[..., None])[..., 0] / self.log_scale.exp()
        logits: Tensor = (fit + bias[:, None]).clamp(-LIMIT, LIMIT)
        return logits


class MaskFeatures(nn.Module):
    """One map of a few channels from the encoder's maps of strides 32, 16 and 8."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        width = config.width
        self.lay3 = nn.Conv2d(width, width, 3, padding=1)
        self.lay4 = nn.Conv2d(width, width, 3, padding=1)
        self.jia_dcn = nn.Conv2d(width, width, 3, padding=1)
        self.lay1 = nn.Conv2d(width, width // 4, 3, padding=1)
        self.lay2 = nn.Conv2d(width // 4, config.mask_width, 3, padding=1)

    def forward(self, memory: Tensor, maps: FeatureMaps) -> Tensor:
        """Memory (E, S, C) to features (E, mask_width, h, w) of stride 8."""
        fine, middle, coarse = (
            memory[:, start:end].mT.reshape(*memory[:, 0].shape, *size)
            for (start, end), size in zip(maps.spans[:3], maps.sizes[:3], strict=True)
        )
        x = F.relu(self.lay3(coarse))
        x = F.relu(self.lay4(middle + F.interpolate(x, size=middle.shape[-2:])))
        x = F.relu(self.jia_dcn(fine + F.interpolate(x, size=fine.shape[-2:])))
        return F.relu(self.lay2(F.relu(self.lay1(x))))


class MaskHead(nn.Module):
    """CondInst: three 1x1 convolutions whose weights the query itself gives.

    The query also says where it is: two more channels hold how far each pixel is from its centre.
    """

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        channels = config.mask_width
        self.shapes = ((channels, channels + 2), (channels, channels), (1, channels))
        self.sizes = [a * b for a, b in self.shapes] + [a for a, _ in self.shapes]
        self.features = MaskFeatures(config)
        self.controller = Perceptron(config.width, config.width, config.width, sum(self.sizes))

    def forward(self, query: Tensor, centre: Tensor, features: Tensor) -> Tensor:
        """One query a sentence, (E, C), its centre (E, 2) in pixels of the image (x, y), features
        (E, channels, h, w): logits (E, 2 * h, 2 * w), one for every 4 x 4 pixels.
        """
        height, width = features.shape[-2:]
        y = torch.arange(height, device=query.device) * STRIDE + STRIDE // 2
        x = torch.arange(width, device=query.device) * STRIDE + STRIDE // 2
        pixels = torch.stack(torch.meshgrid(x, y, indexing="xy"))  # (2, h, w)
        offsets = centre[:, :, None, None] - pixels
        values = torch.cat([offsets, features], 1).flatten(2)  # (E, 2 + channels, h * w)
        parts = self.controller(query).split(self.sizes, -1)
        for layer, shape in enumerate(self.shapes):
            weight, bias = parts[layer].reshape(-1, *shape), parts[layer + 3]
            values = weight @ values + bias[..., None]
            if layer < 2:
                values = F.relu(values)
        return _double(values.reshape(-1, 1, height, width))[:, 0]


def _double(logits: Tensor) -> Tensor:
    """Twice the size (E, 1, h, w), so that corners stay where they are and no value is outside."""
    height, width = logits.shape[-2:]
    logits = F.pad(logits, (0, 1, 0, 1), mode="replicate")
    size = (2 * height + 1, 2 * width + 1)
    logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=True)
    logits = F.pad(logits, (1, 0, 1, 0), mode="replicate")
    return logits[..., : 2 * height, : 2 * width]
