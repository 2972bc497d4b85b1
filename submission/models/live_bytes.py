"""Bytes that are alive while a network runs without values: at the peak of a call, and after it."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from submission.models.counting import tensors_in


def live_bytes(work: Callable[[], Any]) -> tuple[int, int]:
    """Bytes at the peak of `work`, and bytes still held after it; its result is held, too.

    Attention takes no memory but its result, as the fused kernels of a GPU do.
    """
    with torch.inference_mode(), _Live() as live, _ScoresOnTheChip():
        result = work()
        gc.collect()
        held = live.now
    del result
    return live.peak, held


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of tensors that are alive, of those made while the mode is on."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {key for tensor in tensors_in((args, kwargs)) if (key := _key(tensor))}
        made = func(*args, **(kwargs or {}))
        for tensor in tensors_in(made):
            if _key(tensor) not in given and _key(tensor) not in self._sizes:
                self._watch(tensor.untyped_storage())
        return made

    def _watch(self, storage: torch.UntypedStorage) -> None:
        self._sizes[storage._cdata] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, storage._cdata)

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


class _ScoresOnTheChip(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        query, _, value, *_ = args
        return query.new_empty(*query.shape[:-1], value.shape[-1])


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
