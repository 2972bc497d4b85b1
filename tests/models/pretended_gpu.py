"""A GPU where none is: tensors without values that say they lie on it, for what mixes up devices.

torch's fake tensors compare devices and dtypes of every operation as a GPU would. A build without
CUDA refuses some of Python's own ways to call one; here these go the way of the operators. A value
that is read from this GPU is zero, and yes.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

GPU = torch.device("cuda")
aten = torch.ops.aten
CASTS = {
    Tensor.float: torch.float32, Tensor.double: torch.float64, Tensor.bfloat16: torch.bfloat16,
    Tensor.long: torch.int64, Tensor.int: torch.int32, Tensor.bool: torch.bool,
}  # fmt: skip
OF_NUMPY = {np.dtype("int64"): torch.int64, np.dtype("float64"): torch.float32}


@contextmanager
def pretended_gpu(**changed: Any) -> Iterator[None]:
    """Let torch have a GPU in the block; `changed` are functions of torch.cuda besides."""
    stream = SimpleNamespace(record_event=lambda: SimpleNamespace(synchronize=lambda: None))
    answers = {
        "current_stream": lambda _=None: stream,
        "get_device_properties": lambda _: SimpleNamespace(total_memory=1 << 40),
        "get_per_process_memory_fraction": lambda _: 1.0,
        **changed,
    }
    with ExitStack() as stack:
        for name, value in answers.items():
            stack.enter_context(patch.object(torch.cuda, name, value))
        for context in (FakeTensorMode(allow_non_fake_inputs=True), _Pretend()):
            stack.enter_context(context)
        stack.enter_context(torch.inference_mode())
        yield


def move(network: nn.Module, dtype: Callable[[str, Tensor], torch.dtype]) -> None:
    """Put a network on the pretended GPU; `dtype` says it of each floating parameter."""
    for owner, module in network.named_modules():
        for name, value in module._parameters.items():
            if value is not None:
                kind = dtype(f"{owner}.{name}", value) if value.is_floating_point() else value.dtype
                moved = torch.empty(value.shape, dtype=kind, device=GPU)
                module._parameters[name] = nn.Parameter(moved, requires_grad=False)
        for name, value in module._buffers.items():
            if value is not None:
                module._buffers[name] = torch.empty(value.shape, dtype=value.dtype, device=GPU)


class _Pretend(TorchFunctionMode):
    """Calls of torch from Python, those apart that need CUDA although they compute nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.marked = 0  # how many places the last mask marked that something was written to

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.empty, torch.empty_like):
            kwargs.pop("pin_memory", None)
        leaves = tree_leaves((args, kwargs))
        on_gpu = any(
            isinstance(one, FakeTensor) or (isinstance(one, torch.device) and one.type == GPU.type)
            for one in leaves
        )
        if not on_gpu:  # the host's own tensors keep their values
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        own = getattr(self, f"on_{getattr(func, '__name__', '').strip('_')}", None)
        if func in CASTS:
            return aten._to_copy(args[0], dtype=CASTS[func])
        return func(*args, **kwargs) if own is None else own(*args, **kwargs)

    # --- values, of which there are none ---------------------------------------------------------
    def on_bool(self, tensor: Tensor) -> bool:
        return True

    def on_int(self, tensor: Tensor) -> int:
        return 0

    def on_item(self, tensor: Tensor) -> float:
        return 0.0

    def on_tolist(self, tensor: Tensor) -> Any:
        return np.zeros(tensor.shape, int).tolist()

    def on_numpy(self, tensor: Tensor) -> Any:
        assert tensor.device.type == "cpu", "numpy of a tensor on the GPU"
        with unset_fake_temporarily():
            return torch.zeros(tensor.shape, dtype=tensor.dtype).numpy()

    def on_tensor(self, values: Any, dtype: Any = None, device: Any = None) -> Tensor:
        array = np.asarray(values)
        return torch.empty(array.shape, dtype=dtype or OF_NUMPY[array.dtype], device=device)

    # --- the same by operators -------------------------------------------------------------------
    def on_to(self, tensor: Tensor, *where: Any, **named: Any) -> Tensor:
        named.pop("non_blocking", None)
        for one in where:
            named["dtype" if isinstance(one, torch.dtype) else "device"] = one
        if not isinstance(tensor, FakeTensor):
            dtype = named.get("dtype", tensor.dtype)
            return torch.empty_strided(tensor.shape, tensor.stride(), dtype=dtype, device=GPU)
        return aten._to_copy(tensor, **named)

    def on_cpu(self, tensor: Tensor) -> Tensor:
        return aten._to_copy(tensor, device=torch.device("cpu"))

    def on_contiguous(self, tensor: Tensor, memory_format: Any = torch.contiguous_format) -> Tensor:
        return aten.clone(tensor, memory_format=memory_format)

    def on_invert(self, tensor: Tensor) -> Tensor:
        return aten.bitwise_not(tensor)

    def on_iter(self, tensor: Tensor) -> Iterator[Tensor]:
        return iter(torch.unbind(tensor))

    def on_copy(self, tensor: Tensor, other: Tensor, **_: Any) -> Tensor:  # across devices, too
        torch.broadcast_shapes(tensor.shape, other.shape)
        return tensor

    def on_grid_sample(self, values: Tensor, grid: Tensor, **_: Any) -> Tensor:
        assert (values.device, values.dtype) == (grid.device, grid.dtype)
        return values.new_empty(*values.shape[:2], *grid.shape[1:-1])

    def on_scaled_dot_product_attention(
        self, queries: Tensor, keys: Tensor, values: Tensor, *_: Any, **named: Any
    ) -> Tensor:
        mask = named.get("attn_mask")  # a build with CUDA would ask the GPU which kernel it has
        assert mask is None or mask.device == queries.device
        for one in (keys, values):
            assert (one.device, one.dtype) == (queries.device, queries.dtype)
        assert keys.shape[-1] == queries.shape[-1]
        assert keys.shape[-2] == values.shape[-2]
        return queries.new_empty(*queries.shape[:-1], values.shape[-1])

    def on_interpolate(self, values: Tensor, size: Any = None, **named: Any) -> Tensor:
        if named.get("mode") != "bicubic":
            return F.interpolate(values, size, **named)
        return values.new_empty(*values.shape[:2], *size)

    def on_setitem(self, tensor: Tensor, index: Any, value: Any) -> None:
        if isinstance(index, Tensor):
            assert (value.device, value.dtype) == (tensor.device, tensor.dtype)
            self.marked = len(value)
        elif isinstance(value, Tensor):
            torch.broadcast_shapes(self.on_getitem(tensor, index).shape, value.shape)

    def on_getitem(self, tensor: Tensor, index: Any) -> Tensor:
        parts = index if isinstance(index, tuple) else (index,)
        if any(part is Ellipsis for part in parts if not isinstance(part, Tensor)):
            place = next(n for n, part in enumerate(parts) if part is Ellipsis)
            taken = sum(part is not None for part in parts) - 1
            whole = (slice(None),) * (tensor.ndim - taken)
            parts = (*parts[:place], *whole, *parts[place + 1 :])
        chosen: list[Tensor | None] = []
        for part in parts:
            if isinstance(part, list):
                chosen.append(torch.tensor(part))
            elif isinstance(part, Tensor):
                if part.dtype == torch.bool:
                    return tensor.new_empty(self.marked, *tensor.shape[part.ndim :])
                chosen.append(part)
            elif part is None:
                tensor = aten.unsqueeze(tensor, len(chosen))
                chosen.append(None)
            elif isinstance(part, slice):
                tensor = aten.slice(tensor, len(chosen), part.start, part.stop, part.step or 1)
                chosen.append(None)
            else:
                tensor = aten.select(tensor, len(chosen), int(part))
        return aten.index(tensor, chosen) if any(one is not None for one in chosen) else tensor
