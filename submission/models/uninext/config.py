"""Sizes of a UNINEXT network, read from the names and shapes of its tensors.

The released files hold tensors and no configuration. All sizes that differ between the three
released backbones show in the shapes; what does not is written here as a constant.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from submission.errors import InputError
from submission.video.transforms import ShortSide

Shapes = Mapping[str, tuple[int, ...]]

BACKBONE = "detr.detr.backbone.0.backbone."
TEXT = "text_encoder.body.model."
TRANSFORMER = "detr.detr.transformer."

# Fixed in the published code and in no shape.
POINTS = 4  # that a head of deformable attention samples on each level
FUSION_HEADS = 8
TEXT_HEAD_WIDTH = 64  # of BERT, in every released size
# Frames of referring segmentation as the public evaluation resizes them.
FRAME_SIZE = ShortSide(480, 1333)
VIT_WINDOW = 14  # patches, side of a window; its tables have 2 * 14 - 1 rows


@dataclass(frozen=True)
class ResnetSize:
    """ResNet: width of the stem; then, stage by stage, blocks, inner and outer width."""

    stem: int
    depths: tuple[int, ...]
    inner: tuple[int, ...]
    outer: tuple[int, ...]


@dataclass(frozen=True)
class ConvnextSize:
    """ConvNeXt: blocks and width of each of the four stages."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]


@dataclass(frozen=True)
class VitSize:
    """Plain ViT as in ViTDet; blocks that are not in `windowed` see the whole image."""

    width: int
    depth: int
    heads: int
    feedforward: int
    patch: int  # pixels
    pretrained_side: int  # pixels, of the image that the position table was made for
    side: int  # pixels, of the image that the tables of the unwindowed blocks were made for
    windowed: tuple[int, ...]


@dataclass(frozen=True)
class TextSize:
    """BERT."""

    width: int
    depth: int
    feedforward: int
    vocabulary: int
    positions: int
    kinds: int  # of token


@dataclass(frozen=True)
class UninextConfig:
    """Sizes of all parts that are needed to answer a sentence on a frame."""

    backbone: ResnetSize | ConvnextSize | VitSize
    text: TextSize
    width: int  # of a token of the image
    heads: int
    levels: int  # feature maps, from stride 8 on
    feedforward: int
    encoder_layers: int
    decoder_layers: int
    queries: int
    fusion_width: int
    mask_width: int  # channels that the dynamic convolutions of the mask head see


def read_config(shapes: Shapes, where: object) -> UninextConfig:
    """Read the sizes from all names and shapes of a checkpoint; `where` names it in errors.

    Raises InputError when it is no UNINEXT checkpoint with a text encoder and a mask head.
    """
    try:
        attention = f"{TRANSFORMER}encoder.layers.0.self_attn."
        levels, width = shapes[f"{TRANSFORMER}level_embed"]
        return UninextConfig(
            backbone=_read_backbone(shapes),
            text=_read_text(shapes),
            width=width,
            heads=shapes[f"{attention}sampling_offsets.weight"][0] // (levels * POINTS * 2),
            levels=levels,
            feedforward=shapes[f"{TRANSFORMER}encoder.layers.0.linear1.weight"][0],
            encoder_layers=_count(shapes, f"{TRANSFORMER}encoder.layers."),
            decoder_layers=_count(shapes, f"{TRANSFORMER}decoder.layers."),
            queries=shapes[f"{TRANSFORMER}tgt_embed.weight"][0],
            fusion_width=shapes[f"{TRANSFORMER}encoder.vl_layers.0.b_attn.attn.v_proj.weight"][0],
            mask_width=shapes["detr.mask_head.lay2.weight"][0],
        )
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        missing = f" ({error.args[0]} is missing)" if isinstance(error, KeyError) else ""
        raise InputError(
            f"{where}: not a UNINEXT checkpoint for referring segmentation{missing}; take "
            "model_final.pth of video_joint_r50, video_joint_convnext_large or "
            "video_joint_vit_huge from UNINEXT's model zoo"
        ) from None


def _read_backbone(shapes: Shapes) -> ResnetSize | ConvnextSize | VitSize:
    if f"{BACKBONE}stem.conv1.weight" in shapes:
        stages = [f"{BACKBONE}res{stage}." for stage in (2, 3, 4, 5)]
        return ResnetSize(
            stem=shapes[f"{BACKBONE}stem.conv1.weight"][0],
            depths=tuple(_count(shapes, stage) for stage in stages),
            inner=tuple(shapes[f"{stage}0.conv1.weight"][0] for stage in stages),
            outer=tuple(shapes[f"{stage}0.conv3.weight"][0] for stage in stages),
        )
    if f"{BACKBONE}downsample_layers.0.0.weight" in shapes:
        stages = [f"{BACKBONE}stages.{stage}." for stage in range(4)]
        return ConvnextSize(
            depths=tuple(_count(shapes, stage) for stage in stages),
            widths=tuple(shapes[f"{stage}0.dwconv.weight"][0] for stage in stages),
        )
    return _read_vit(shapes)


def _read_vit(shapes: Shapes) -> VitSize:
    width, _, patch, _ = shapes[f"{BACKBONE}patch_embed.proj.weight"]
    depth = _count(shapes, f"{BACKBONE}blocks.")
    tables = [shapes[f"{BACKBONE}blocks.{block}.attn.rel_pos_h"] for block in range(depth)]
    in_window = 2 * VIT_WINDOW - 1
    patches = shapes[f"{BACKBONE}pos_embed"][1] - 1  # a class token comes first
    return VitSize(
        width=width,
        depth=depth,
        heads=width // tables[0][1],
        feedforward=shapes[f"{BACKBONE}blocks.0.mlp.fc1.weight"][0],
        patch=patch,
        pretrained_side=round(patches**0.5) * patch,
        side=(max(rows for rows, _ in tables) + 1) // 2 * patch,
        windowed=tuple(i for i, (rows, _) in enumerate(tables) if rows == in_window),
    )


def _read_text(shapes: Shapes) -> TextSize:
    vocabulary, width = shapes[f"{TEXT}embeddings.word_embeddings.weight"]
    return TextSize(
        width=width,
        depth=_count(shapes, f"{TEXT}encoder.layer."),
        feedforward=shapes[f"{TEXT}encoder.layer.0.intermediate.dense.weight"][0],
        vocabulary=vocabulary,
        positions=shapes[f"{TEXT}embeddings.position_embeddings.weight"][0],
        kinds=shapes[f"{TEXT}embeddings.token_type_embeddings.weight"][0],
    )


def _count(names: Iterable[str], prefix: str) -> int:
    """How many numbered parts lie below a prefix."""
    numbered = re.compile(re.escape(prefix) + r"(\d+)\.")
    return len({found[1] for name in names if (found := numbered.match(name))})
