"""Work of any network, counted while it runs without values: FLOP, numbers moved, kernels started.

The real modules run on the meta device, where only shapes are computed, so nothing has to be known
of a family. A multiplication with an addition is 2 FLOP; matrix products, convolutions and both
products of an attention are counted, nothing else is, as torch's own counter does (it counts here).
Attention never writes its scores: exact kernels that keep them on the chip are assumed.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from submission.models.workload import Work

AnyModule = TypeVar("AnyModule", bound=nn.Module)
META = torch.device("meta")
WIDE, MANY = 256, 4  # width of a head and size of a batch from which an attention counts as wide

# Operations that move nothing: they only make a tensor, or look at one in another way.
FREE = ("empty", "new_empty", "empty_like", "empty_strided", "detach", "lift_fresh", "_unsafe_view")
# Operations that read as much as they write, however large the table is that they read from.
PICKING = ("embedding", "index", "index_select", "gather", "slice_scatter")


def count(call: Callable[[], Any]) -> Work:
    """Run `call` on tensors without values and return what it would have worked."""
    with torch.inference_mode(), _Tally() as tally, _FusedAttention(tally):
        call()
    fused = tally.attention + tally.wide
    return Work(tally.products + fused, fused, tally.wide, tally.values, tally.calls)


def empty(*shape: int) -> Tensor:
    """A tensor of this shape without values, in bfloat16."""
    return torch.empty(shape, device=META, dtype=torch.bfloat16)


def without_values(network: AnyModule, dtype: torch.dtype = torch.bfloat16) -> AnyModule:
    """Move a network to the meta device in a precision, tables that it has computed included."""
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(META))
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                setattr(module, name, value.to(META))
    for parameter in network.parameters():
        if parameter.dtype != torch.int8:
            parameter.data = parameter.data.to(META, dtype)
    return network


class _Tally(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what operations compute, read and write, and how many there are."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products = self.attention = self.wide = self.values = 0.0
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func.overloadpacket
        if packet not in flop_registry:  # an operation made of others is counted by its parts
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        made = func(*args, **kwargs)
        if formula := flop_registry.get(packet):
            self.products += formula(*args, **kwargs, out_val=made)
        name = packet.__name__
        if not func.is_view and name not in FREE:
            written = sum(tensor.numel() for tensor in tensors_in(made))
            read = {id(tensor): tensor.numel() for tensor in tensors_in((args, kwargs))}
            self.values += written + (written if name in PICKING else sum(read.values()))
            self.calls += 1
        return made


class _FusedAttention(TorchFunctionMode):
    """Takes the place of attention: counts its two products, and writes no scores."""

    def __init__(self, tally: _Tally) -> None:
        super().__init__()
        self.tally = tally

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        return self._attend(*args, **(kwargs or {}))

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
        dropout_p: float = 0.0, is_causal: bool = False, **named: Any,
    ) -> Tensor:  # fmt: skip
        pairs = query.numel() // query.shape[-1] * key.shape[-2]
        flop = 2.0 * pairs * (query.shape[-1] + value.shape[-1]) * (0.5 if is_causal else 1.0)
        if query.shape[-1] >= WIDE and query.shape[0] >= MANY:
            self.tally.wide += flop
        else:
            self.tally.attention += flop
        found = query.new_empty(*query.shape[:-1], value.shape[-1])
        self.tally.calls += 1
        self.tally.values += sum(one.numel() for one in (query, key, value, found))
        return found


def tensors_in(tree: Any) -> list[Tensor]:
    """The tensors among nested arguments or results."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
