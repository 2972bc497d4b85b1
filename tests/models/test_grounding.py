"""What an object's absence does: masks are blanked, or only pointers, by procedure and prompt."""

from collections.abc import Iterator

import pytest
import torch
from torch.testing import assert_close

from submission.models.sam2.network import NO_OBJECT_LOGIT, GroundingNetwork, ImageFeatures

pytestmark = pytest.mark.usefixtures("without_gradients")


@pytest.fixture
def network(sa2va_i) -> GroundingNetwork:
    return sa2va_i.network.grounding


@pytest.fixture
def absent(network) -> Iterator[None]:
    """Let both decoders say that no object is there, whatever they see."""
    decoders = (network.sam_mask_decoder, network.sam_mask_decoder_modified)
    biases = [decoder.pred_obj_score_head.layers[-1].bias for decoder in decoders]
    before = [bias.clone() for bias in biases]
    for bias in biases:
        bias.sub_(1000)
    yield
    for bias, values in zip(biases, before, strict=True):
        bias.copy_(values)


@pytest.fixture
def features(network) -> ImageFeatures:
    side = network.config.image_size
    pixels = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    return network.encode_images(pixels)[0]


def test_masks_of_absent_objects_when_tracking(network, features, absent):
    image = features.stride16.expand(2, -1, -1, -1)
    kept = network.decode_tracked(features, image)
    blanked = network.decode_tracked(features, image, gate=True, decoder="original")
    assert (kept.object_score <= 0).all()
    assert (blanked.object_score <= 0).all()
    assert kept.logits.min() > NO_OBJECT_LOGIT
    assert (blanked.logits == NO_OBJECT_LOGIT).all()
    for found in (kept, blanked):
        assert torch.equal(found.pointer, network.no_obj_ptr.expand(2, -1))


def test_masks_of_absent_objects_when_prompted(network, features, absent):
    found = network.decode_language(features, torch.zeros(2, network.config.hidden_size))
    assert (found.object_score <= 0).all()
    assert found.logits.min() > NO_OBJECT_LOGIT
    assert torch.equal(found.pointer, network.no_obj_ptr.expand(2, -1))


def test_a_given_mask_is_kept_and_its_pointer_follows_the_score(network, features, absent):
    found = network.decode_given_mask(features, half_full(network))
    assert_close(tuple(found.logits.aminmax()), (torch.tensor(-10.0), torch.tensor(10.0)))
    assert torch.equal(found.pointer[:1], network.no_obj_ptr)


def test_present_objects_have_pointers_of_their_own(network, features):
    found = network.decode_given_mask(features, half_full(network))
    assert (found.object_score > 0).all(), "otherwise this would show nothing"
    assert not torch.equal(found.pointer[:1], network.no_obj_ptr)


def test_the_pointer_of_an_empty_given_mask_says_nothing_is_there(network, features):
    half = half_full(network)
    found = network.decode_given_mask(features, torch.cat([half, torch.zeros_like(half)]))
    assert (found.object_score > 0).all(), "otherwise the score alone would explain it"
    assert torch.equal(found.pointer[1:], network.no_obj_ptr)
    assert not torch.equal(found.pointer[:1], network.no_obj_ptr)
    assert_close(found.logits[1], torch.full_like(found.logits[1], -10))


def half_full(network: GroundingNetwork) -> torch.Tensor:
    side = network.config.image_size
    mask = torch.zeros(1, 1, side, side)
    mask[..., : side // 2] = 1
    return mask
