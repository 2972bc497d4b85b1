"""Sizes of the three released video models, for what is asked before their files are there."""

from dataclasses import replace

from submission.models.uninext.config import (
    ConvnextSize,
    ResnetSize,
    TextSize,
    UninextConfig,
    VitSize,
)

# As the names and shapes in model_final.pth of UNINEXT's model zoo say; a test reads those again.
_R50 = UninextConfig(
    backbone=ResnetSize(
        stem=64, depths=(3, 4, 6, 3), inner=(64, 128, 256, 512), outer=(256, 512, 1024, 2048)
    ),
    text=TextSize(
        width=768, depth=12, feedforward=3072, vocabulary=30522, positions=512, kinds=2
    ),
    width=256,
    heads=8,
    levels=4,
    feedforward=2048,
    encoder_layers=6,
    decoder_layers=6,
    queries=900,
    fusion_width=2048,
    mask_width=8,
)  # fmt: skip
_CONVNEXT_L = ConvnextSize(depths=(3, 3, 27, 3), widths=(192, 384, 768, 1536))
_VIT_H = VitSize(
    width=1280,
    depth=32,
    heads=16,
    feedforward=5120,
    patch=16,
    pretrained_side=224,
    side=1024,
    windowed=(0, 1, 3, 4, 6, 7, 9, 10),
)

RELEASED = {  # by their names in weights.lock
    "UNINEXT-R50": _R50,
    "UNINEXT-ConvNeXt-L": replace(_R50, backbone=_CONVNEXT_L),
    "UNINEXT-ViT-H": replace(_R50, backbone=_VIT_H),
}
