"""Organs of SAM 2 that compute the same in less time: drop-in replacements, same parameters.

Each equals the library's module up to rounding (tests/models/test_quick_organs.py); what they gain
is in docs/log.md.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from sam2.modeling.sam.prompt_encoder import PromptEncoder
from sam2.modeling.sam.transformer import Attention, TwoWayTransformer
from sam2.modeling.sam2_utils import LayerNorm2d
from torch import Tensor, nn

# Below so many channels, one fused norm for each pixel is slower than passes over the map; on a
# GPU its kernel takes a block of threads for each pixel (H200, 16 maps of 16 channels and 256 x 256
# pixels in bfloat16: 1.14 ms, in passes 0.18; of 64 channels 0.29 and 0.26).
FEWEST_CHANNELS = 16
FEWEST_ON_A_GPU = 64


class ChannelNorm(LayerNorm2d):  # type: ignore[misc]
    """Layer norm over the channels of (B, C, H, W), fused; the result is channels-last in memory.

    The library's module passes over the map nine times. Convolutions and linear layers that
    follow keep the layout, so it is changed once. A map of few channels keeps the layout it has.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cuda" and not torch.is_grad_enabled():
            if x.shape[1] < FEWEST_ON_A_GPU:
                return self._by_moments(x)
        elif x.shape[1] < FEWEST_CHANNELS:
            if torch.is_grad_enabled() or x.dtype != torch.float32:
                return super().forward(x)  # type: ignore[no-any-return]
            return self._by_channel(x)
        rows = x.permute(0, 2, 3, 1).contiguous()  # (B, H, W, C)
        return F.layer_norm(rows, rows.shape[-1:], self.weight, self.bias, self.eps).permute(
            0, 3, 1, 2
        )

    def _by_moments(self, x: Tensor) -> Tensor:
        """Norm in four passes over the map, each fused by itself."""
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
        scaled = (x - mean) * torch.rsqrt(variance + self.eps)
        normed = torch.addcmul(self.bias[:, None, None], scaled, self.weight[:, None, None])
        if x.shape[1] < FEWEST_CHANNELS:
            return normed
        return normed.contiguous(memory_format=torch.channels_last)

    def _by_channel(self, x: Tensor) -> Tensor:
        """Norm with maps of one channel beside the result, and nothing else of its size."""
        centred = x - x.mean(dim=1, keepdim=True)
        squares = torch.zeros_like(centred[:, 0])
        for channel in centred.unbind(dim=1):
            squares.addcmul_(channel, channel)
        centred *= squares.div_(x.shape[1]).add_(self.eps).rsqrt_()[:, None]
        return centred.mul_(self.weight[:, None, None]).add_(self.bias[:, None, None])


class DecoderNorm(ChannelNorm):
    """The mask decoder's norm: in passes on a GPU, as the library has it elsewhere."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cuda" and not torch.is_grad_enabled():
            return self._by_moments(x)
        return LayerNorm2d.forward(self, x)  # type: ignore[no-any-return]


class FewTokensAttention(Attention):  # type: ignore[misc]
    """Attention of many pixels (B, N, C) to a handful of tokens (B, n, C).

    Fused kernels of a CPU take a row of scores at a time, here of eight; with pixels last the
    softmax runs over them side by side. A GPU keeps to its fused kernel.
    """

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if q.device.type != "cpu" or q.dtype != torch.float32:
            return super().forward(q, k, v)  # type: ignore[no-any-return]
        heads, width = self.num_heads, self.internal_dim // self.num_heads
        pixels = self.q_proj(q).unflatten(-1, (heads, width))  # (B, N, heads, width)
        tokens = self.k_proj(k).unflatten(-1, (heads, width)) * width**-0.5
        values = self.v_proj(v).unflatten(-1, (heads, width))
        shares = torch.einsum("bphc,bthc->bhtp", pixels, tokens).softmax(dim=2)
        found = torch.einsum("bhtp,bthc->bphc", shares, values).flatten(2)
        return self.out_proj(found)  # type: ignore[no-any-return]


class QuickTransformer(TwoWayTransformer):  # type: ignore[misc]
    """SAM 2's two-way transformer, with a CPU's attention to few tokens and positions laid out.

    Positions come channel by channel, the image pixel by pixel. They are added five times, and a
    sum of two orders in memory takes a GPU several times as long as one of equal orders.
    """

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        for layer in self.layers:
            kept = layer.cross_attn_image_to_token
            layer.cross_attn_image_to_token = FewTokensAttention(
                kept.embedding_dim, kept.num_heads, kept.embedding_dim // kept.internal_dim
            )

    def forward(
        self, image_embedding: Tensor, image_pe: Tensor, point_embedding: Tensor
    ) -> tuple[Tensor, Tensor]:
        place = image_pe.contiguous(memory_format=torch.channels_last)
        found: tuple[Tensor, Tensor] = super().forward(image_embedding, place, point_embedding)
        return found


def linear_and_relu(linear: nn.Linear, x: Tensor) -> Tensor:
    """max(0, x W + b) of (..., C): on a GPU while the product is written, else in place."""
    if x.device.type == "cuda" and not torch.is_grad_enabled():
        return _linear_with_relu(linear, x)
    found: Tensor = linear(x).relu_()
    return found


def _linear_with_relu(linear: nn.Linear, x: Tensor) -> Tensor:
    found = torch._addmm_activation(linear.bias, x.flatten(0, -2), linear.weight.t())
    return found.view(*x.shape[:-1], -1)


class Tables:
    """Tables that depend on weights and a size alone: made once, and anew when weights change."""

    def __init__(self) -> None:
        self._weights: Hashable = None
        self._made: dict[Hashable, Tensor] = {}

    def of(self, size: Hashable, weights: Sequence[Tensor], make: Callable[[], Tensor]) -> Tensor:
        """Return the table of a size; while gradients flow, or may, it is made every time."""
        # Weights without values are counted, and a count hangs on nothing that was counted before.
        if torch.is_grad_enabled() or any(w.is_inference() or w.is_meta for w in weights):
            return make()
        now = tuple((w.data_ptr(), w._version, w.dtype, w.device) for w in weights)
        if now != self._weights:
            self._weights, self._made = now, {}
        if size not in self._made:
            self._made[size] = make()
        return self._made[size]


class QuickPromptEncoder(PromptEncoder):  # type: ignore[misc]
    """The prompt encoder, which makes the positions of the map once and not for every mask."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self._tables = Tables()

    def get_dense_pe(self) -> Tensor:
        weights = (self.pe_layer.positional_encoding_gaussian_matrix,)
        return self._tables.of(self.image_embedding_size, weights, super().get_dense_pe)


class NoPosition(nn.Module):
    """Stands where the library makes positions of maps that nobody reads.

    At the released size they would be 89 MB for each image in float32, and 45 MB more in bfloat16.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.new_empty(0)


def replace_norms(module: nn.Module, kind: type[ChannelNorm]) -> None:
    """Replace every layer norm over channels inside a module."""
    for name, child in list(module.named_modules()):
        if type(child) is LayerNorm2d:
            parent, _, attribute = name.rpartition(".")
            setattr(module.get_submodule(parent), attribute, kind(len(child.weight), child.eps))
