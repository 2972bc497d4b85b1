"""Lay out a network without values: its parameters cost no memory until a checkpoint fills them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook


@contextmanager
def parameters_on_meta() -> Iterator[None]:
    """Put every parameter that is made meanwhile on the meta device.

    Tables that are computed while a network is built (buffers) become real; under
    `torch.device("meta")` they would be lost.
    """
    hook = register_module_parameter_registration_hook(_move)
    try:
        yield
    finally:
        hook.remove()


def _move(module: nn.Module, name: str, parameter: nn.Parameter) -> Any:
    return nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)
