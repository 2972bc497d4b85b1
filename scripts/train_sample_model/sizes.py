"""Sizes of the small model, and the codebook of colours that both halves learn apart."""

from typing import Any

import torch
from torch import Tensor

from scripts.sample_data.scene import COLOURS

SIDE = 128  # pixels: SAM 2's square frames, in which training renders
VISION_SIDE = 112  # pixels: the vision encoder's
CELLS = 4  # visual tokens of a frame, across and down
VISION = {
    "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128,
    "norm_type": "layer_norm", "qkv_bias": True, "qk_normalization": False, "hidden_act": "gelu",
    "layer_norm_eps": 1e-6, "image_size": VISION_SIDE, "patch_size": 14,
}  # fmt: skip
LANGUAGE = {
    "architectures": ["Qwen2ForCausalLM"], "hidden_size": 128, "num_hidden_layers": 5,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 176,
    "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "rope_scaling": None,
    "max_position_embeddings": 4096, "tie_word_embeddings": True,
}  # fmt: skip
GROUNDING = {
    "image_size": SIDE, "hidden_size": 64, "memory_size": 32, "memory_layers": 2,
    "memory_ffn": 128, "decoder_ffn": 128, "iou_head_size": 64,
    "hiera": {
        "embed_dim": 16, "num_heads": 1, "stages": [1, 2, 3, 1], "global_att_blocks": [4],
        "window_pos_embed_bkg_spatial_size": [7, 7], "window_spec": [8, 4, 8, 4],
    },
}  # fmt: skip
CODE_NORM = 4.0  # length of a colour's code


def config_values(vocabulary: int) -> dict[str, Any]:
    """The content of config.json."""
    return {
        "architectures": ["Sa2VAChatModel"], "model_type": "sa2va_chat", "template": "qwen_chat",
        "downsample_ratio": 0.5, "ps_version": "v2", "select_layer": -1,
        "force_image_size": VISION_SIDE, "use_backbone_lora": 0, "use_llm_lora": 0,
        "vision_config": VISION, "llm_config": LANGUAGE | {"vocab_size": vocabulary},
        "grounding_config": GROUNDING,
    }  # fmt: skip


def codebook() -> Tensor:
    """One code for each colour of a shape, float32 (colours, C): orthogonal, the same for ever.

    The sum of the codes of its objects' colours is the embedding that a sentence should get. The
    grounding half learns to segment from such sums while the language half learns to say them.
    """
    generator = torch.Generator().manual_seed(123)
    basis, _ = torch.linalg.qr(
        torch.randn(int(GROUNDING["hidden_size"]), len(COLOURS), generator=generator)  # type: ignore[call-overload]
    )
    return basis.T.contiguous() * CODE_NORM
