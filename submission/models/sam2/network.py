"""SAM 2's network without time: encode an image, prompt the mask decoder, encode a memory.

Every function here depends on its tensors alone; what is remembered from frame to frame lives in
tracker.py. Modules have the attribute names of the checkpoint. B is the number of objects.
"""

from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from sam2.modeling.position_encoding import PositionEmbeddingSine
from sam2.modeling.sam.mask_decoder import MaskDecoder
from sam2.modeling.sam2_utils import MLP
from torch import Tensor, nn
from torch.nn.attention import sdpa_kernel

from submission.models.sam2.attention_kernel import UNPLANNED
from submission.models.sam2.organs import (
    make_image_encoder,
    make_mask_decoder,
    make_memory_attention,
    make_memory_encoder,
    make_prompt_encoder,
)
from submission.models.sam2.policy import DecoderName
from submission.models.sam2.sizes import NUM_MEMORY_FRAMES, GroundingConfig

# The reference keeps these ImageNet constants in bfloat16; the rounding is part of its numbers.
MEAN = (0.484375, 0.455078125, 0.40625)
STD = (0.228515625, 0.2236328125, 0.224609375)

MEMORY_SCALE = 10.0  # the memory encoder's input goes from -10 to 10, as 20 sigmoid(x) - 10 does
HARD_LOGIT = 10.0  # a given mask counts as logits of +10 and -10
NO_OBJECT_LOGIT = -1024.0  # mask logits of an object that the decoder says is absent


@dataclass(frozen=True)
class ImageFeatures:
    """Features of one frame (or N in one), before any decoder's own projections."""

    stride4: Tensor  # (1, C, 4S, 4S)
    stride8: Tensor  # (1, C, 2S, 2S)
    stride16: Tensor  # (1, C, S, S)


@dataclass(frozen=True)
class DecodedMasks:
    """What the mask decoder says of one frame for B objects."""

    logits: Tensor  # (B, 1, 4S, 4S) float32 mask logits, before the sigmoid, at stride 4
    pointer: Tensor  # (B, C) object pointer
    object_score: Tensor  # (B, 1) logit that the object is visible
    candidates: Tensor  # (B, 3 or 1, 4S, 4S) the masks from which the best was taken
    ious: Tensor  # (B, 3 or 1) predicted IoU of each candidate

    @property
    def confidence(self) -> Tensor:
        """How sure the decoder is of the masks it chose: (B,) float32 in 0..1.

        The predicted IoU of the chosen candidate, times the probability that there is an object.
        """
        visible = self.object_score[:, 0].float().sigmoid()
        return self.ious.amax(dim=-1).float() * visible


class GroundingNetwork(nn.Module):
    """SAM 2 with a language prompt; `sam_mask_decoder_modified` exists only for Sa2VA-i."""

    def __init__(self, config: GroundingConfig, *, has_tuned_decoder: bool) -> None:
        super().__init__()
        size, memory = config.hidden_size, config.memory_size
        self.config = config
        self.attention = "auto"  # the kernel of memory attention that is wanted
        self.image_encoder = make_image_encoder(config)
        self.image_position_encoding = PositionEmbeddingSine(size, warmup_cache=False)
        self.memory_position_encoding = PositionEmbeddingSine(memory, warmup_cache=False)
        self.memory_attention = make_memory_attention(config)
        self.memory_encoder = make_memory_encoder(config)
        self.sam_prompt_encoder = make_prompt_encoder(config)
        self.sam_mask_decoder = make_mask_decoder(config)
        if has_tuned_decoder:
            self.sam_mask_decoder_modified = make_mask_decoder(config)
        self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.obj_ptr_proj = MLP(size, size, size, 3)
        self.maskmem_tpos_enc = nn.Parameter(torch.empty(NUM_MEMORY_FRAMES, 1, 1, memory))
        self.no_mem_embed = nn.Parameter(torch.empty(1, 1, size))
        self.no_mem_pos_enc = nn.Parameter(torch.empty(1, 1, size))  # stored, never used
        self.no_obj_ptr = nn.Parameter(torch.empty(1, size))

    @property
    def tuned_decoder(self) -> MaskDecoder:
        """The decoder fine-tuned to read language prompts: Sa2VA-i's second, else the only one."""
        return getattr(self, "sam_mask_decoder_modified", self.sam_mask_decoder)

    def encode_images(self, pixels: Tensor) -> list[ImageFeatures]:
        """Encode pixels (N, 3, 16S, 16S), normalised, into the features of each frame."""
        return split_frames(self.encode_levels(pixels))

    def encode_levels(self, pixels: Tensor) -> ImageFeatures:
        """The same with all frames in one, (N, C, ...) at each stride."""
        # The pyramid's top-down step computes in float32 and would leave its level so.
        levels = (level.to(pixels.dtype) for level in self.image_encoder(pixels)["backbone_fpn"])
        return ImageFeatures(*levels)

    def position_of(self, features: ImageFeatures) -> Tensor:
        """Sine position encoding (1, C, S, S) of the stride-16 map."""
        position: Tensor = self.image_position_encoding(features.stride16)
        return position.to(features.stride16.dtype)

    def decode_language(
        self, features: ImageFeatures, language: Tensor, *, gate: bool = False
    ) -> DecodedMasks:
        """Prompt a frame without memory with language embeddings (B, C).

        The best of three masks is taken by predicted IoU. With `gate` masks are blanked where the
        object score is at most 0.
        """
        empty = self._empty_points(len(language))
        sparse = torch.cat([empty, language[:, None].to(empty.dtype)], dim=1)  # (B, 3, C)
        image = features.stride16 + self.no_mem_embed.view(1, -1, 1, 1)
        return self._decode(self.tuned_decoder, features, image, sparse, gate=gate)

    def decode_tracked(
        self, features: ImageFeatures, image: Tensor, *, gate: bool = False,
        decoder: DecoderName = "tuned",
    ) -> DecodedMasks:  # fmt: skip
        """Decode a frame from its memory-conditioned map `image` (B, C, S, S), without a prompt.

        SAM 2 was trained to track with its original decoder and with `gate`: blank masks for
        objects whose score is at most 0.
        """
        decoders = {"tuned": self.tuned_decoder, "original": self.sam_mask_decoder}
        sparse = self._empty_points(len(image))
        return self._decode(decoders[decoder], features, image, sparse, gate=gate)

    def decode_given_mask(self, features: ImageFeatures, mask: Tensor) -> DecodedMasks:
        """Take hard masks (B, 1, 16S, 16S) in 0..1 as the frame's result; decode only pointers.

        The decoder sees the raw stride-16 map here (no "no memory" embedding), gives one mask, and
        a pointer that both the mask's emptiness and the decoder's own score can switch off.
        """
        prompt = self.mask_downsample(mask.to(self.no_mem_embed.dtype))
        sparse = self._empty_points(len(mask))
        seen = self._decode(
            self.sam_mask_decoder, features, features.stride16, sparse,
            gate=True, dense=self.sam_prompt_encoder.mask_downscaling(prompt), multimask=False,
        )  # fmt: skip
        visible = mask.flatten(1).any(dim=1, keepdim=True)  # (B, 1)
        logits = mask.float() * 2 * HARD_LOGIT - HARD_LOGIT
        side = logits.shape[-1] // 4
        low = F.interpolate(
            logits, size=(side, side), mode="bilinear", align_corners=False, antialias=True
        )
        return DecodedMasks(
            low, torch.where(visible, seen.pointer, self.no_obj_ptr.to(seen.pointer.dtype)),
            seen.object_score, low, seen.ious,
        )  # fmt: skip

    def encode_memory(self, features: ImageFeatures, logits: Tensor) -> Tensor:
        """Encode a frame and its mask logits (B, 1, 4S, 4S) into memory (B, K, S, S), bfloat16.

        Stored as bfloat16 in every precision, because the reference does so; one rounding there
        is what makes tracked frames of two runs differ at all.
        """
        image = features.stride16
        masks = self._as_input(logits).to(image.dtype)
        encoded = self.memory_encoder(image, masks, skip_mask_sigmoid=True)
        memory: Tensor = encoded["vision_features"]
        return memory.to(torch.bfloat16)

    def _as_input(self, logits: Tensor) -> Tensor:
        """Mask logits (B, 1, 4S, 4S) as the memory encoder takes them: (B, 1, 16S, 16S)."""
        side = self.config.image_size
        # 20 sigmoid(x) - 10 is 10 tanh(x / 2), in fewer passes over the largest map there is.
        half = F.interpolate(logits / 2, size=(side, side), mode="bilinear", align_corners=False)
        return torch.tanh(half) * MEMORY_SCALE

    def memory_position(self) -> Tensor:
        """Sine position encoding (1, K, S, S) of memory maps, in the precision of the network."""
        side = self.config.feature_size
        like = self.maskmem_tpos_enc.new_empty(1, self.config.memory_size, side, side)
        position: Tensor = self.memory_position_encoding(like)
        return position.to(like.dtype)

    def _empty_points(self, objects: int) -> Tensor:
        # "No point" is one dummy point and one padding point, both the same learned vector.
        empty: Tensor = self.sam_prompt_encoder.not_a_point_embed.weight
        return empty.expand(objects, 2, -1)

    def _decode(
        self,
        decoder: MaskDecoder,
        features: ImageFeatures,
        image: Tensor,
        sparse: Tensor,
        *,
        gate: bool,
        dense: Tensor | None = None,
        multimask: bool = True,
    ) -> DecodedMasks:
        if dense is None:
            dense = self.sam_prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1)
        with sdpa_kernel(UNPLANNED):
            candidates, ious, tokens, score = decoder(
                image_embeddings=image.expand(len(sparse), -1, -1, -1),
                image_pe=self.sam_prompt_encoder.get_dense_pe().to(image.dtype),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask,
                repeat_image=False,
                high_res_features=[
                    decoder.conv_s0(features.stride4), decoder.conv_s1(features.stride8)
                ],
            )  # fmt: skip
        visible = score > 0  # (B, 1)
        candidates = candidates.float()
        if gate:
            candidates = torch.where(visible[..., None, None], candidates, NO_OBJECT_LOGIT)
        rows = torch.arange(len(sparse), device=sparse.device)
        best = ious.argmax(dim=-1)
        pointer = self.obj_ptr_proj(tokens[rows, best])
        pointer = torch.where(visible, pointer, self.no_obj_ptr)
        return DecodedMasks(candidates[rows, best][:, None], pointer, score, candidates, ious)


def split_frames(levels: ImageFeatures) -> list[ImageFeatures]:
    """Features of N frames in one, as those of each: views."""
    maps = (levels.stride4, levels.stride8, levels.stride16)
    return [
        ImageFeatures(*(level[i : i + 1] for level in maps)) for i in range(len(levels.stride4))
    ]


def normalise(pixels: Tensor) -> Tensor:
    """Turn uint8 RGB (N, H, W, 3) into float32 (N, 3, H, W), normalised, on the same device."""
    mean, std = _constants(pixels.device)
    return (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std


@cache
def _constants(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, (3, 1, 1) each; copied to a GPU once, which waits for it."""
    mean, std = torch.tensor(MEAN, device=device), torch.tensor(STD, device=device)
    return mean.view(3, 1, 1), std.view(3, 1, 1)
