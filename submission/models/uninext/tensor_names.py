"""Where each tensor of our network stands in UNINEXT's file, and what of that file is not needed.

UNINEXT's file is detectron2's table of the whole training model: parts that only tracking, visual
prompts or training use are named here, and any other name that is unknown is refused.
"""

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from submission.models.uninext.config import (
    BACKBONE,
    TEXT,
    TRANSFORMER,
    ConvnextSize,
    ResnetSize,
    UninextConfig,
)

# Parts of our network by their beginning; the rest of a name is the same on both sides.
PLACES = {
    "text.": TEXT,
    "project.": "detr.detr.input_proj.",
    "level_embed": f"{TRANSFORMER}level_embed",
    "fusion.": f"{TRANSFORMER}encoder.vl_layers.0.b_attn.",
    "encoder.": f"{TRANSFORMER}encoder.",
    "decoder.": f"{TRANSFORMER}decoder.",
    "propose.0.": f"{TRANSFORMER}enc_output.",
    "propose.1.": f"{TRANSFORMER}enc_output_norm.",
    "queries.": f"{TRANSFORMER}tgt_embed.",
    "movers.": "detr.detr.bbox_embed.",
    "mask_head.features.": "detr.mask_head.",
    "mask_head.controller.": "detr.controller.",
}
Rules = tuple[tuple[str, str], ...]
CONVNEXT: Rules = (
    (r"^body\.embeddings\.patch_embeddings\.", "downsample_layers.0.0."),
    (r"^body\.embeddings\.layernorm\.(\w+)$", r"downsample_layers.0.1.\1.weight"),
    (r"^body\.encoder\.stages\.(\d)\.downsampling_layer\.0\.(\w+)$",
     r"downsample_layers.\1.0.\2.weight"),
    (r"^body\.encoder\.stages\.(\d)\.downsampling_layer\.1\.", r"downsample_layers.\1.1."),
    (r"^body\.encoder\.stages\.(\d)\.layers\.(\d+)\.layer_scale_parameter$",
     r"stages.\1.\2.gamma.weight"),
    (r"^body\.encoder\.stages\.(\d)\.layers\.(\d+)\.layernorm\.(\w+)$",
     r"stages.\1.\2.norm.\3.weight"),
    (r"^body\.encoder\.stages\.(\d)\.layers\.", r"stages.\1."),
)  # fmt: skip
VIT: Rules = (
    (r"^body\.embeddings\.position_embeddings$", "pos_embed"),
    (r"^body\.embeddings\.projection\.", "patch_embed.proj."),
    (r"^body\.encoder\.layer\.(\d+)\.attention\.", r"blocks.\1.attn."),
    (r"^body\.encoder\.layer\.", "blocks."),
    (r"^enlarge\.", "fpn1.0."),
)
# What other tasks and training need, by the beginning of the name; the resizers are for denoising,
# heads under the decoder are the same tensors once more.
NOT_NEEDED = re.compile(
    r"detr\.detr\.ref_backbone\."  # a second backbone, for visual prompts
    r"|detr\.reid_embed_head\.|detr\.sot_fuser\.|detr\.adjust_layer\."  # tracking
    r"|detr\.resizer\.|detr\.detr\.transformer\.resizer\."
    r"|detr\.detr\.(class_embed|iou_head)\.\d+\."  # losses of other layers
    r"|detr\.detr\.transformer\.decoder\.(class_embed|bbox_embed)\."
    r"|criterion\."
    r"|text_encoder\.body\.model\.embeddings\.position_ids$"  # a table, stored by old transformers
    r"|text_encoder\.body\.model\.pooler\."
)
ALIAS = re.compile(r"^detr\.detr\.transformer\.decoder\.((?:class|bbox)_embed\..*)$")


def tensor_names(names: list[str], config: UninextConfig) -> dict[str, str]:
    """Our names of parameters to those in the file."""
    return {name: _name(name, config) for name in names}


def _name(name: str, config: UninextConfig) -> str:
    last = config.decoder_layers - 1
    if name.startswith("backbone."):
        return BACKBONE + _in_backbone(name.removeprefix("backbone."), config)
    heads = {
        "objectness.": f"detr.detr.class_embed.{last + 1}.body.",
        "match.": f"detr.detr.class_embed.{last}.",
        "iou.": f"detr.detr.iou_head.{last}.",
    }
    ours = next(one for one in PLACES | heads if name.startswith(one))
    # Our deformable attention has that of transformers inside.
    return (PLACES | heads)[ours] + name.removeprefix(ours).replace("_attn.inner.", "_attn.")


def _in_backbone(name: str, config: UninextConfig) -> str:
    if isinstance(config.backbone, ResnetSize):
        return name
    if isinstance(config.backbone, ConvnextSize):
        # The norms of the maps that leave it are numbered from the second stage on.
        if found := re.match(r"body\.hidden_states_norms\.stage(\d)\.(\w+)$", name):
            return f"norm{int(found[1]) - 1}.{found[2]}.weight"
        rules = CONVNEXT
    else:
        rules = VIT
    for pattern, theirs in rules:
        name, changed = re.subn(pattern, theirs, name)
        if changed:
            break
    return name


def needed(stored: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """What the file holds, without what is known not to be needed, in the shapes of our network.

    ConvNeXt's scales and norms are stored as (1, C).
    """
    used = set(names.values())
    row: Callable[[str, Tensor], bool] = lambda key, value: (  # noqa: E731
        key.startswith(BACKBONE) and value.ndim == 2 and value.shape[0] == 1
    )
    return {
        key: value[0] if row(key, value) else value
        for key, value in stored.items()
        if key in used or not NOT_NEEDED.match(key)
    }
