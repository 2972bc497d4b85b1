"""Open SAM 2.0 as Meta released it: names and shapes are compared before a value is read."""

from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor

from submission.errors import InputError
from submission.models.checkpoint import SAM21_MARKS, check_shapes, move_tables, place
from submission.models.meta import parameters_on_meta
from submission.models.pth_file import read_weights, read_without_values
from submission.models.sam2.attention_kernel import choose_kernels
from submission.models.sam2.network import GroundingNetwork
from submission.models.sam2.sizes import GroundingConfig, sizes_beside


def open_sam2(file: Path) -> None:
    """Compare names and shapes of a file; no value is read.

    Raises InputError, or FaultyInput with all that differ.
    """
    _checked(file, read_without_values(file))


def load_sam2(
    file: Path, device: torch.device, dtype: torch.dtype, attention: str = "auto"
) -> GroundingNetwork:
    """Load sam2_hiera_large.pt, or a file of other sizes that a config.json beside it states.

    `attention` names the kernel of memory attention on a GPU. Raises InputError for a file of
    anything else, a damaged one, and a kernel that the device has not.
    """
    tensors = read_weights(file)
    network = _checked(file, tensors)
    if attention != "auto":
        keys = torch.empty(network.config.hidden_size, dtype=dtype, device=device)
        choose_kernels(keys, network.config, attention)
        network.attention = attention
    for name, value in tensors.items():
        place(network, name, value.to(device), dtype)
    move_tables(network, device)
    return network


def _checked(file: Path, tensors: dict[str, Tensor]) -> GroundingNetwork:
    """The network without values, in which these tensors fit."""
    if any(mark in tensors for mark in SAM21_MARKS):
        raise InputError(f"{file}: these are SAM 2.1 weights; SAM 2.0 large is needed")
    if not any(name.startswith("image_encoder.") for name in tensors):
        raise InputError(
            f"{file}: no image_encoder.* in it; take sam2_hiera_large.pt as Meta released it"
        )
    network = _lay_out(sizes_beside(file))
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    check_shapes(found, expected, f"{file}: the weights are not those of SAM 2.0 large:")
    return network


def _lay_out(config: GroundingConfig) -> GroundingNetwork:
    # Where there is a GPU, SAM 2 puts its rotary tables on the first one, whatever is asked.
    with parameters_on_meta(), patch.object(torch.cuda, "is_available", return_value=False):
        network = GroundingNetwork(config, has_tuned_decoder=False)
    return network.eval().requires_grad_(False)
