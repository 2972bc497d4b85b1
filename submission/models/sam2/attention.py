"""Ways to compute attention without mask, all exact: softmax(q k^T / sqrt(C)) v.

Queries are (1 or B, Q, C), keys (B, N, C), values (B, N, K), results (B, Q, K).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
# The same, and with it the logarithm of the sum of exponentials of the scores, (B, Q) float32.
AttendAndSum = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class AttentionKernel:
    """A way to compute softmax(q k^T / sqrt(C)) v, without mask."""

    name: str
    is_narrow: bool  # wants values before their projection, (B, N, K)
    attend: Attend  # queries (1 or B, Q, C), keys (B, N, C), values (B, N, K or C)
    within: Attend  # the same for values (B, N, C): of a frame to itself


@dataclass(frozen=True)
class Kernels:
    """The kernel for a few objects, and the one for many."""

    few: AttentionKernel
    many: AttentionKernel
    many_from: int  # objects side by side

    def of(self, objects: int) -> AttentionKernel:
        """The kernel for so many objects side by side."""
        return self.many if objects >= self.many_from else self.few

    @property
    def name(self) -> str:
        """Both names, or the one there is."""
        if self.few == self.many:
            return self.few.name
        return f"{self.few.name}, {self.many.name} from {self.many_from} objects"


def for_any_number(kernel: AttentionKernel) -> Kernels:
    """One kernel for few objects and for many."""
    return Kernels(kernel, kernel, 1)


BLOCK = 2**20  # scores computed at once on a CPU: 4 MB, about a core's share of the caches


def only(backend: SDPBackend) -> Attend:
    """Attend by one of torch's fused kernels, whose values are as wide as keys."""

    def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        if backend is SDPBackend.CUDNN_ATTENTION:
            # It plans for strides, too: a query that is the same for all objects gets its own copy.
            queries = queries.expand(len(keys), -1, -1).contiguous()
        with sdpa_kernel(backend):
            return attend_fused(queries, keys, values)

    return attend


def attend_in_two(
    queries: Tensor, keys: Tensor, values: Tensor, *, cells: int, maps: AttendAndSum,
    others: AttendAndSum,
) -> Tensor:  # fmt: skip
    """Attend to whole maps of `cells` tokens, and apart to those before them: (B, Q, K).

    Attention to all of them is the mean of both, weighted by their sums of exponentials.
    """
    queries = queries.expand(len(keys), -1, -1).contiguous()  # cuDNN plans for strides, too
    before = keys.shape[1] % cells
    found, log_sum = maps(queries, keys[:, before:], values[:, before:])
    if not before:
        return found
    other, other_log_sum = others(queries, keys[:, :before], values[:, :before])
    share = torch.sigmoid(other_log_sum - log_sum)[..., None]
    return torch.lerp(found.float(), other.float(), share).to(found.dtype)


def sum_by_cudnn(queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Attend and sum by cuDNN's kernel, which plans for each shape that it meets."""
    found, log_sum, *_ = torch.ops.aten._scaled_dot_product_cudnn_attention(
        queries[:, None], keys[:, None], values[:, None], None, True
    )
    return found[:, 0], log_sum.reshape(queries.shape[:2])


def sum_by_efficient(queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Attend and sum by the memory-efficient kernel, which plans nothing."""
    found, log_sum, *_ = torch.ops.aten._scaled_dot_product_efficient_attention(
        queries[:, None], keys[:, None], values[:, None], None, True
    )
    return found[:, 0], log_sum[:, 0, : queries.shape[1]]  # the kernel rounds up to its block


def attend_fused(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attend in one call, on whichever of torch's kernels is allowed and quickest."""
    queries = queries.expand(len(keys), -1, -1)
    return F.scaled_dot_product_attention(queries[:, None], keys[:, None], values[:, None])[:, 0]


def attend_in_blocks(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attend block by block of queries, whose scores stay in a core's cache: (B, Q, K).

    As many objects at once as there are threads, one for each. On a CPU this takes 0.8 of the time
    of torch's flash kernel, which asks for values as wide as keys (docs/log.md).
    """
    objects, length, width = keys.shape
    rows = max(1, min(queries.shape[1], BLOCK // length))
    queries = (queries * width**-0.5).expand(objects, -1, -1)
    found = values.new_empty(objects, queries.shape[1], values.shape[-1])
    scores = keys.new_empty(min(objects, torch.get_num_threads()), rows, length)
    for first in range(0, objects, len(scores)):
        group = slice(first, first + len(scores))
        for start in range(0, queries.shape[1], rows):
            block = queries[group, start : start + rows]
            part = scores[: block.shape[0], : block.shape[1]]
            torch.bmm(block, keys[group].transpose(1, 2), out=part)
            torch.softmax(part, dim=-1, out=part)
            torch.bmm(part, values[group], out=found[group, start : start + rows])
    return found
