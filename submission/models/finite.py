"""Values that are no numbers: found while weights are read, and named by layer where they arise.

NaN and infinity are what an overflowing fine-tuning, a bad cast or a damaged disk leave. A network
with one of them answers every sentence with empty masks and no error.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from submission.errors import Fault


def is_finite(value: Tensor) -> bool:
    """Tell whether no value of a tensor is NaN or infinite; integers always are."""
    if not value.is_floating_point() or not value.numel():
        return True
    # A sum is the fastest pass that nothing of the kind survives; it may itself overflow.
    if bool(value.sum().isfinite()):
        return True
    return bool(torch.stack(torch.aminmax(value)).isfinite().all())


def not_finite(key: str, value: Tensor) -> Fault | None:
    """Say how many values of a stored tensor are NaN or infinite, None when none is."""
    if is_finite(value):
        return None
    nan = int(value.isnan().sum())
    infinite = int(value.isinf().sum())
    found = [f"{count} {word}" for count, word in ((nan, "NaN"), (infinite, "infinite")) if count]
    return Fault(key, f"{' and '.join(found)} of {value.numel()} values")


class NotFinite(Exception):
    """An output of the network holds NaN or infinity."""


class FiniteOutputs:
    """Remembers of outputs whether they are finite; asks the device for the answer only at last."""

    def __init__(self) -> None:
        self._extremes: list[Tensor] = []  # NaN and infinity survive as smallest or largest

    def look(self, output: Tensor) -> Tensor:
        """Look at an output of at least one value, and return it."""
        self._extremes += torch.aminmax(output)
        return output

    def refuse(self, what: str) -> None:
        """Raise NotFinite when one of the outputs holds NaN or infinity; waits for the device."""
        if self._extremes and not bool(torch.stack(self._extremes).isfinite().all()):
            raise NotFinite(what)


def first_not_finite(network: nn.Module, run: Callable[[], Any]) -> str:
    """Run once more and return, in words, the first module whose output is not finite.

    Empty when everything is finite this time. Slow: each module's output is looked at.
    """
    handles = [
        module.register_forward_hook(partial(_look, name), with_kwargs=True)
        for name, module in network.named_modules()
        if name
    ]
    try:
        run()
    except NotFinite as found:
        return str(found)
    finally:
        for handle in handles:
            handle.remove()
    return ""


def _look(
    name: str, module: nn.Module, arguments: Any, named: Mapping[str, Any], output: Any
) -> None:
    if all(map(is_finite, _tensors(output))):
        return
    read = [*_tensors(arguments), *_tensors(list(named.values()))]
    already = "" if all(map(is_finite, read)) else ", and so is what it reads"
    raise NotFinite(f"the output of {name} ({type(module).__name__}){already}")


def _tensors(value: Any) -> Iterator[Tensor]:
    """The floating tensors in what a module takes or gives; attention masks are no values."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
