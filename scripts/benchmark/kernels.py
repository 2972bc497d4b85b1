"""Which exact attention kernels run at the shapes of this network, and how fast each is.

Memory attention has one head of width 256, which not every kernel takes. Its values can as well be
read before their projection, 64 wide, which is five eighths of the work where a kernel takes values
narrower than keys. Each kernel is tried alone; its result is compared with attention in float32 on
a part of the queries.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention

from scripts.benchmark.environment import seconds_of
from scripts.benchmark.tables import print_table
from submission.errors import InputError
from submission.models.sam2.attention_kernel import ON_A_GPU, choose_kernels
from submission.models.sam2.sizes import GroundingConfig

BACKENDS = {**dict(ON_A_GPU), "plain": SDPBackend.MATH}
CHOICE = "choice"  # what PyTorch takes by itself
FA3 = "FlashAttention-3"  # a package of its own
FLEX = "flex, compiled"  # takes a minute to compile, so it is tried where asked for
COMPARED = 128  # queries
LENGTHS = 4  # other numbers of keys, to see what the first call of a length takes
PLAIN_LIMIT = 2e10  # bytes of the score matrix, which only the plain kernel writes


@dataclass(frozen=True)
class Shape:
    """Attention of B x heads x queries to keys."""

    name: str
    batch: int
    heads: int
    queries: int
    keys: int
    width: int
    values: int = 0  # width of the values; 0: that of the keys

    @property
    def flop(self) -> float:
        """Of the two matrix products."""
        pairs = 1.0 * self.batch * self.heads * self.queries * self.keys
        return 2 * pairs * (self.width + (self.values or self.width))


def _memory(objects: int, key_frames: int, values: int = 0) -> Shape:
    narrow = ", narrow values" if values else ""
    name = f"memory attention, M = {key_frames}, objects {objects}{narrow}"
    return Shape(name, objects, 1, 4096, (key_frames + 6) * 4096 + 64, 256, values)


SHAPES = (
    *(_memory(objects, 5, values) for objects in (1, 2, 3, 4, 8, 16) for values in (0, 64)),
    *(_memory(16, 20, values) for values in (0, 64)),
    Shape("a frame to itself, 16 objects", 16, 1, 4096, 4096, 256),
    Shape("a frame to itself, one object", 1, 1, 4096, 4096, 256),
    Shape("image encoder, global, 8 frames", 8, 8, 4096, 4096, 72),
    Shape("image encoder, windows of stage 1, 8 frames", 8192, 2, 64, 64, 72),
    Shape("image encoder, windows of stage 2, 8 frames", 8192, 4, 16, 16, 72),
    Shape("image encoder, windows of stage 3, 8 frames", 128, 8, 256, 256, 72),
    Shape("InternViT-6B, 20 frames", 20, 25, 1025, 1025, 128),
)
REHEARSED = (
    Shape("memory attention, small", 2, 1, 64, 3 * 64, 256),
    Shape("narrow values, small", 2, 1, 64, 3 * 64, 256, 64),
)


def main(words: Sequence[str] | None = None) -> int:
    """Print a table of shapes and kernels."""
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmark.kernels")
    parser.add_argument("--rehearse", action="store_true", help="one small shape")
    parser.add_argument("--flex", action="store_true", help=f"only {FLEX!r}, which takes minutes")
    arguments = parser.parse_args(words)
    shapes = REHEARSED if arguments.rehearse else SHAPES
    names = (FLEX,) if arguments.flex else (CHOICE, *BACKENDS, FA3)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    lines = (try_kernel(shape, name, device) for shape in shapes for name in names)
    header = ["shape, bfloat16", "kernel", "ms", "TFLOP/s", "a new length, ms", "relative error"]
    print_table(header, lines)
    return 0


@torch.inference_mode()
def try_kernel(shape: Shape, name: str, device: torch.device) -> list[str]:
    """Time one kernel at one shape, and its first calls of other lengths."""
    torch.manual_seed(0)
    query, keys, values = (
        torch.randn(shape.batch, shape.heads, count, width, device=device, dtype=torch.bfloat16)
        for count, width in (
            (shape.queries, shape.width), (shape.keys, shape.width),
            (shape.keys, shape.values or shape.width),
        )
    )  # fmt: skip
    scores = 6.0 * shape.batch * shape.heads * shape.queries * shape.keys
    if name == "plain" and scores > PLAIN_LIMIT:
        return [shape.name, name, "", "", "", f"not tried: {scores / 1e9:.0f} GB of scores"]
    try:
        kernel = _kernel(name, keys)
    except InputError as refusal:
        return [shape.name, name, "", "", "", f"not tried: {str(refusal).partition(';')[0]}"]

    def attend(count: int = shape.keys) -> Tensor:
        return kernel(query, keys[:, :, :count], values[:, :, :count])

    with warnings.catch_warnings(record=True) as reasons:
        warnings.simplefilter("always")
        try:
            error = relative_error(attend(), query, keys, values)
        except RuntimeError as refusal:
            told = [str(one.message).split("(Triggered")[0] for one in reasons] or [str(refusal)]
            reason = " ".join(" ".join(told).split())[:240]
            return [shape.name, name, "", "", "", f"not supported: {reason}"]
    seconds = seconds_of(attend, device)
    first = [
        seconds_of(partial(attend, shape.keys - 4 * turn), device, repeats=1, warm_up=0)
        for turn in range(1, LENGTHS + 1)
    ]
    return [
        shape.name, name, f"{1e3 * seconds:.2f}", f"{shape.flop / seconds / 1e12:.1f}",
        f"{1e3 * median(first):.2f}", f"{error:.1e}",
    ]  # fmt: skip


def _kernel(name: str, like: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    if name == FLEX:
        compiled: Callable[[Tensor, Tensor, Tensor], Tensor] = torch.compile(
            flex_attention, dynamic=True
        )
        return compiled
    if name == CHOICE:
        return F.scaled_dot_product_attention

    if name == FA3:
        one_head = choose_kernels(like, GroundingConfig(), "fa3").few.attend
        return lambda *three: one_head(*(one.flatten(0, 1) for one in three))[:, None]

    def attend(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        with sdpa_kernel(BACKENDS[name]):
            return F.scaled_dot_product_attention(query, keys, values)

    return attend


def relative_error(result: Tensor, query: Tensor, keys: Tensor, values: Tensor) -> float:
    """Norm of the difference to float32 attention over that of the attention, on some queries."""
    part = query[:1, :, :COMPARED].float()
    exact = (part @ keys[:1].float().mT / query.shape[-1] ** 0.5).softmax(-1) @ values[:1].float()
    return float((result[:1, :, :COMPARED].float() - exact).norm() / exact.norm())


if __name__ == "__main__":
    sys.exit(main())
