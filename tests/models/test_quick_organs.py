"""Organs that were made quicker compute what the library's modules compute."""

import copy
from collections import Counter

import pytest
import torch
from models.cases import random
from sam2.modeling.backbones import hieradet
from sam2.modeling.backbones.hieradet import Hiera
from sam2.modeling.memory_encoder import CXBlock, MaskDownSampler
from sam2.modeling.sam.transformer import TwoWayTransformer
from sam2.modeling.sam2_utils import LayerNorm2d
from torch import Tensor, nn
from torch.testing import assert_close

from submission.models.sam2 import fast_layers, windowed_trunk
from submission.models.sam2.fast_layers import (
    ChannelNorm,
    DecoderNorm,
    FewTokensAttention,
    QuickPromptEncoder,
    QuickTransformer,
    Tables,
    replace_norms,
)
from submission.models.sam2.tracker import is_foreground
from submission.models.sam2.windowed_trunk import QuickHiera


def shake(module: nn.Module) -> nn.Module:
    """Give every parameter a value of its own, also those that start as ones and zeros."""
    for index, parameter in enumerate(module.parameters()):
        parameter.data.add_(0.1 * random(*parameter.shape, seed=index))
    return module.eval()


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (CXBlock(32), (2, 32, 8, 8)),
        (MaskDownSampler(32, kernel_size=3, stride=2, padding=1), (2, 1, 64, 64)),
    ],
    ids=["block of the fuser", "mask downsampler"],
)
@pytest.mark.parametrize("learning", [False, True], ids=["answering", "learning"])
def test_layer_norm_over_channels(module, shape, learning):
    library = shake(module)
    quick = copy.deepcopy(library)
    replace_norms(quick, ChannelNorm)
    assert sum(type(part) is ChannelNorm for part in quick.modules()) > 0
    assert not any(type(part) is LayerNorm2d for part in quick.modules())
    quick.load_state_dict(library.state_dict())
    with torch.set_grad_enabled(learning):
        assert_close(quick(random(*shape)), library(random(*shape)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
def test_relu_while_the_product_is_written(precision):
    linear, x = shake(nn.Linear(8, 40)).to(precision), random(3, 5, 8).to(precision)
    with torch.inference_mode():
        apart = linear(x).relu_()
        assert torch.equal(fast_layers._linear_with_relu(linear, x), apart)
        assert torch.equal(fast_layers.linear_and_relu(linear, x), apart)


def test_positions_lie_in_memory_as_the_image_does(monkeypatch):
    transformer = QuickTransformer(depth=1, embedding_dim=32, num_heads=4, mlp_dim=64)
    image = random(3, 8, 8, 32).permute(0, 3, 1, 2)
    layouts = []

    def note(queries, keys, query_pe, key_pe):
        layouts.append((keys.stride(), key_pe.stride()))
        return queries, keys

    monkeypatch.setattr(transformer.layers[0], "forward", note)
    transformer(image, random(3, 32, 8, 8, seed=1), random(3, 7, 32))
    ((keys, place),) = layouts
    assert keys == place


def test_the_decoders_norm_is_the_librarys_off_a_gpu():
    library = shake(LayerNorm2d(24))
    quick = DecoderNorm(24)
    quick.load_state_dict(library.state_dict())
    x = random(2, 24, 5, 7)
    with torch.inference_mode():
        assert torch.equal(quick(x), library(x))


@pytest.mark.parametrize("channels", [4, 16, 40])
@pytest.mark.parametrize(
    ("precision", "near"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)], ids=str
)
def test_a_gpu_norms_few_channels_in_passes(channels, precision, near):
    library = shake(LayerNorm2d(channels)).to(precision)
    quick = ChannelNorm(channels)
    quick.load_state_dict(library.state_dict())
    x = (3 + random(2, channels, 5, 7)).to(precision)
    with torch.inference_mode():
        found = quick.to(precision)._by_moments(x)
        exact = library.float()(x.float())
    assert found.dtype == precision
    assert found.is_contiguous(memory_format=torch.channels_last) == (channels >= 16)
    assert float((found.float() - exact).norm() / exact.norm()) < near


def test_attention_of_the_image_to_tokens():
    sizes = {"depth": 2, "embedding_dim": 32, "num_heads": 4, "mlp_dim": 64}
    library, quick = shake(TwoWayTransformer(**sizes)), QuickTransformer(**sizes)
    assert sum(type(part) is FewTokensAttention for part in quick.modules()) == 2
    quick.load_state_dict(library.state_dict())
    image, position, tokens = random(3, 32, 8, 8), random(1, 32, 8, 8, seed=1), random(3, 7, 32)
    for ours, theirs in zip(
        quick(image, position, tokens), library(image, position, tokens), strict=True
    ):
        assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    with pytest.raises(AssertionError):  # the negative control: it looks at the tokens
        assert_close(
            quick(image, position, -tokens)[1], library(image, position, tokens)[1], rtol=1e-5,
            atol=1e-5,
        )  # fmt: skip


def trunks(side: int, **sizes) -> tuple[nn.Module, nn.Module, Tensor]:
    """The library's trunk, ours, and pixels for a map of so many tokens a side."""
    sizes = {"embed_dim": 8, "num_heads": 1, "window_pos_embed_bkg_spatial_size": (2, 2)} | sizes
    library = shake(Hiera(**sizes))
    quick = QuickHiera(**sizes).eval()
    quick.load_state_dict(library.state_dict())
    return library, quick, random(2, 3, 4 * side, 4 * side)


LARGE = {  # as Hiera-L, with fewer blocks
    "stages": (2, 3, 7, 2), "window_spec": (8, 4, 16, 8), "global_att_blocks": (7, 10),
}  # fmt: skip


@pytest.mark.parametrize("learning", [False, True], ids=["answering", "learning"])
@pytest.mark.parametrize(
    ("side", "sizes"),
    [
        (64, LARGE),
        (32, LARGE),  # the third stage pads its windows
        (32, {"stages": (1, 2, 2, 2), "window_spec": (8, 4, 7, 7), "global_att_blocks": (4,)}),
        (24, {"stages": (2, 2, 2, 1), "window_spec": (2, 6, 6, 3), "global_att_blocks": ()}),
        (16, {"stages": (1, 1, 1, 1), "window_spec": (4, 4, 4, 4), "global_att_blocks": (),
              "q_pool": 2}),
    ],
)  # fmt: skip
def test_tokens_that_stay_in_windows_give_the_same_maps(side, sizes, learning):
    library, quick, pixels = trunks(side, **sizes)
    with torch.set_grad_enabled(learning):
        for ours, theirs in zip(quick(pixels), library(pixels), strict=True):
            assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_the_map_is_cut_where_windows_change_and_not_for_every_block(monkeypatch):
    _, quick, pixels = trunks(64, **LARGE)
    copies = []
    for name in ("window_partition", "window_unpartition"):
        real = getattr(windowed_trunk, name)

        def counted(*arguments, name=name, real=real):
            copies.append(name)
            return real(*arguments)

        monkeypatch.setattr(windowed_trunk, name, counted)
        monkeypatch.setattr(hieradet, name, counted)
    quick(pixels)
    # Cut before stages 1 and 3 and behind two blocks that see all; put together before those, at
    # the end of each stage, and where stage 3 begins with the small windows of stage 2.
    assert Counter(copies) == {"window_partition": 4, "window_unpartition": 7}


TABLES = {
    "position of the image": (
        QuickHiera(embed_dim=8, num_heads=1, stages=(1, 1, 1, 1), global_att_blocks=()),
        "_get_pos_embed", ((56, 56),), "pos_embed",
    ),
    "position of the map": (
        QuickPromptEncoder(embed_dim=8, image_embedding_size=(4, 4), input_image_size=(64, 64),
                           mask_in_chans=4),
        "get_dense_pe", (), "pe_layer.positional_encoding_gaussian_matrix",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_made_once_and_anew_when_weights_change(name):
    module, method, arguments, weight = TABLES[name]
    module = shake(copy.deepcopy(module)).requires_grad_(False)
    library = getattr(type(module).__mro__[1], method)
    with torch.inference_mode():
        first = getattr(module, method)(*arguments)
        assert torch.equal(first, library(module, *arguments))
        assert getattr(module, method)(*arguments) is first
    owner, _, attribute = weight.rpartition(".")
    getattr(module.get_submodule(owner), attribute).mul_(2)  # as training does, in place
    with torch.inference_mode():
        other = getattr(module, method)(*arguments)
        assert torch.equal(other, library(module, *arguments))
    assert not torch.equal(other, first)
    assert getattr(module, method)(*arguments) is not other  # gradients may flow


def test_weights_that_do_not_tell_of_changes_have_no_table():
    with torch.inference_mode():
        weight, tables = torch.ones(3), Tables()
        assert torch.equal(tables.of(1, (weight,), lambda: 2 * weight), torch.full((3,), 2.0))
        weight.mul_(2)
        assert torch.equal(tables.of(1, (weight,), lambda: 2 * weight), torch.full((3,), 4.0))


@pytest.mark.parametrize("count", [1, 7, 64])
def test_foreground_is_where_the_sigmoid_is_above_one_half(count):
    """Over all floats around the edge, in vectors and in what remains beside them."""
    edge = torch.tensor([0.0, 8e-8, 1e-7]).view(torch.int32)
    near = torch.arange(int(edge[1]), int(edge[2]), 101, dtype=torch.int32).view(torch.float32)
    for values in (near, -near, random(1000), torch.tensor([0.0, -0.0, 1e30, -1e30])):
        for part in values.split(count):
            assert torch.equal(is_foreground(part), torch.sigmoid(part) > 0.5)
    assert is_foreground(near).any()
    assert not is_foreground(near).all()
