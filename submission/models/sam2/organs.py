"""The organs of SAM 2, from the `sam2` package, with the settings of a checkpoint's sizes.

What is no size is SAM 2.0's (sam2_hiera_l.yaml), as hard-coded in Sa2VA.
"""

from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
from sam2.modeling.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder
from sam2.modeling.sam.mask_decoder import MaskDecoder
from sam2.modeling.sam.transformer import RoPEAttention

from submission.models.sam2.fast_layers import (
    ChannelNorm,
    DecoderNorm,
    NoPosition,
    QuickPromptEncoder,
    QuickTransformer,
    replace_norms,
)
from submission.models.sam2.sizes import GroundingConfig
from submission.models.sam2.windowed_trunk import QuickHiera


def make_image_encoder(config: GroundingConfig) -> ImageEncoder:
    """Pixels in, a pyramid of maps out."""
    trunk = QuickHiera(**vars(config.hiera))
    neck = FpnNeck(
        position_encoding=NoPosition(),
        d_model=config.hidden_size,
        backbone_channel_list=trunk.channel_list,
        fpn_top_down_levels=[2, 3],
        fpn_interp_model="nearest",
    )
    return ImageEncoder(trunk, neck, scalp=1)


def make_memory_attention(config: GroundingConfig) -> MemoryAttention:
    """A frame's map in the light of what frames before it have left."""
    size, side = config.hidden_size, config.feature_size
    rotary = {"embedding_dim": size, "num_heads": 1, "feat_sizes": (side, side)}
    layer = MemoryAttentionLayer(
        activation="relu",
        d_model=size,
        dim_feedforward=config.memory_ffn,
        dropout=0.1,
        self_attention=RoPEAttention(**rotary),
        cross_attention=RoPEAttention(**rotary, kv_in_dim=config.memory_size, rope_k_repeat=True),
        pos_enc_at_attn=False,
        pos_enc_at_cross_attn_keys=True,
        pos_enc_at_cross_attn_queries=False,
    )
    return MemoryAttention(
        d_model=size, pos_enc_at_input=True, layer=layer, num_layers=config.memory_layers
    )


def make_memory_encoder(config: GroundingConfig) -> MemoryEncoder:
    """A frame's map and its masks in, a memory map out."""
    size = config.hidden_size
    encoder = MemoryEncoder(
        out_dim=config.memory_size,
        in_dim=size,
        position_encoding=NoPosition(),
        mask_downsampler=MaskDownSampler(size, kernel_size=3, stride=2, padding=1),
        fuser=Fuser(CXBlock(size, kernel_size=7, padding=3), num_layers=2),
    )
    replace_norms(encoder, ChannelNorm)
    return encoder


def make_prompt_encoder(config: GroundingConfig) -> QuickPromptEncoder:
    """Points, masks and their absence in, prompts of the mask decoder out."""
    return QuickPromptEncoder(
        embed_dim=config.hidden_size,
        image_embedding_size=(config.feature_size, config.feature_size),
        input_image_size=(config.image_size, config.image_size),
        mask_in_chans=16,
    )


def make_mask_decoder(config: GroundingConfig) -> MaskDecoder:
    """A map and a prompt in, mask logits and an object pointer out."""
    transformer = QuickTransformer(
        depth=2, embedding_dim=config.hidden_size, num_heads=8, mlp_dim=config.decoder_ffn
    )
    decoder = MaskDecoder(
        transformer_dim=config.hidden_size,
        transformer=transformer,
        num_multimask_outputs=3,
        iou_head_depth=3,
        iou_head_hidden_dim=config.iou_head_size,
        use_high_res_features=True,
        iou_prediction_use_sigmoid=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        use_multimask_token_for_obj_ptr=True,
        dynamic_multimask_via_stability=True,
        dynamic_multimask_stability_delta=0.05,
        dynamic_multimask_stability_thresh=0.98,
    )
    replace_norms(decoder, DecoderNorm)
    return decoder
