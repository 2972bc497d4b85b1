"""The three image backbones, each giving the feature maps of strides 8, 16 and 32.

ConvNeXt and ViTDet are those of transformers, which give the same numbers as UNINEXT's own.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import ConvNextBackbone, ConvNextConfig, VitDetConfig, VitDetModel

from submission.models.uninext.config import (
    VIT_WINDOW,
    ConvnextSize,
    ResnetSize,
    UninextConfig,
    VitSize,
)


class Backbone(nn.Module):
    """An image (N, 3, H, W), normalised, to three maps (N, C, h, w), largest first."""

    channels: tuple[int, int, int]
    multiple: int  # of pixels, that both sides of the image must be padded to

    def forward(self, image: Tensor) -> list[Tensor]:
        raise NotImplementedError


def build_backbone(config: UninextConfig) -> Backbone:
    """Build the backbone that the checkpoint holds."""
    match config.backbone:
        case ResnetSize() as size:
            return Resnet(size)
        case ConvnextSize() as size:
            return Convnext(size)
        case VitSize() as size:
            return Vit(size)


# --- ResNet --------------------------------------------------------------------------------------
class FrozenNorm(nn.Module):
    """Batch normalisation with the statistics of training."""

    EPSILON = 1e-5

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width))
        self.running_mean = nn.Parameter(torch.empty(width))
        self.running_var = nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.running_var + self.EPSILON).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]


class NormedConv(nn.Conv2d):
    """A convolution without bias and its normalisation, named as detectron2 names them."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = FrozenNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(super().forward(x))
        return normed


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1; the 3x3 has the stride."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.shortcut = None if inputs == outputs else NormedConv(inputs, outputs, 1, stride)
        self.conv1 = NormedConv(inputs, inner, 1)
        self.conv2 = NormedConv(inner, inner, 3, stride)
        self.conv3 = NormedConv(inner, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        residual = x if self.shortcut is None else self.shortcut(x)
        x = F.relu_(self.conv1(x))
        x = F.relu_(self.conv2(x))
        return F.relu_(self.conv3(x).add_(residual))


class Resnet(Backbone):
    """ResNet as in detectron2; any image size goes."""

    multiple = 1

    def __init__(self, size: ResnetSize) -> None:
        super().__init__()
        self.stem = nn.ModuleDict({"conv1": NormedConv(3, size.stem, 7, 2)})
        inputs = size.stem
        for stage, (depth, inner, outer) in enumerate(
            zip(size.depths, size.inner, size.outer, strict=True)
        ):
            blocks = [Bottleneck(inputs, inner, outer, 1 if stage == 0 else 2)]
            blocks += [Bottleneck(outer, inner, outer, 1) for _ in range(depth - 1)]
            self.add_module(f"res{stage + 2}", nn.Sequential(*blocks))
            inputs = outer
        self.channels = (size.outer[1], size.outer[2], size.outer[3])

    def forward(self, image: Tensor) -> list[Tensor]:
        x = F.max_pool2d(F.relu_(self.stem["conv1"](image)), 3, 2, 1)
        x = self.get_submodule("res2")(x)
        maps = []
        for stage in ("res3", "res4", "res5"):
            x = self.get_submodule(stage)(x)
            maps.append(x)
        return maps


# --- ConvNeXt ------------------------------------------------------------------------------------
class Convnext(Backbone):
    """ConvNeXt; the last three stages, each normalised on its way out."""

    multiple = 32

    def __init__(self, size: ConvnextSize) -> None:
        super().__init__()
        settings: dict[str, Any] = {
            "depths": list(size.depths),
            "hidden_sizes": list(size.widths),
            "out_features": ["stage2", "stage3", "stage4"],
        }
        self.body = ConvNextBackbone(ConvNextConfig(**settings))
        self.channels = (size.widths[1], size.widths[2], size.widths[3])

    def forward(self, image: Tensor) -> list[Tensor]:
        return list(self.body(image).feature_maps)


# --- ViT -----------------------------------------------------------------------------------------
class Vit(Backbone):
    """Plain ViT and the simple pyramid above it: twice the size, the same, half."""

    multiple = 32

    def __init__(self, size: VitSize) -> None:
        super().__init__()
        self.body = VitDetModel(
            VitDetConfig(
                hidden_size=size.width,
                num_hidden_layers=size.depth,
                num_attention_heads=size.heads,
                mlp_ratio=size.feedforward // size.width,
                image_size=size.side,
                pretrain_image_size=size.pretrained_side,
                patch_size=size.patch,
                window_size=VIT_WINDOW,
                window_block_indices=list(size.windowed),
                use_relative_position_embeddings=True,
            )
        )
        self.enlarge = nn.ConvTranspose2d(size.width, size.width // 2, 2, 2)
        self.channels = (size.width // 2, size.width, size.width)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.body(image).last_hidden_state  # (N, C, H / 16, W / 16)
        return [self.enlarge(x), x, F.max_pool2d(x, 2)]
