"""Masks become bits: the same bits on every device, each frame's in its place."""

import numpy as np
import pytest
import torch

from submission.models.mask_packing import MaskStack, add_up_bits, pack_bits


def some_masks(width: int) -> torch.Tensor:
    return torch.rand(3, 4, width, generator=torch.Generator().manual_seed(width)) > 0.5


@pytest.mark.parametrize("width", [1, 7, 8, 9, 64, 101])
def test_bits_are_those_of_numpy_whatever_the_device(width):
    masks = some_masks(width)
    expected = np.packbits(masks.numpy(), axis=-1)
    assert np.array_equal(pack_bits(masks).numpy(), expected)
    assert np.array_equal(add_up_bits(masks).numpy(), expected)


def test_frames_may_be_drawn_in_any_order():
    masks = [some_masks(10).roll(shift) for shift in range(5)]
    stack = MaskStack(3, (5, 4, 10))
    for time in (4, 0, 2, 1, 3):
        stack.draw(time, masks[time][:, None].float() - 0.5)
    for number, drawn in enumerate(stack.masks()):
        assert np.array_equal(drawn, torch.stack(masks)[:, number].numpy())
