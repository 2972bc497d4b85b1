"""Ways to compute what SAM 2 does between its large products, side by side, at true shapes.

    python -m scripts.benchmark.operations

What a trace (scripts/benchmark/trace.py) shows to be far from the memory's rate, each as it runs
now and as it might run. The error is that of a way against the one that runs now; a way that a
device does not have says so. What of it is taken and what is not, stands in docs/log.md.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scripts.benchmark.environment import seconds_of
from scripts.benchmark.tables import print_table
from submission.models.sam2.memory_attention import rotate

# Two numbers of bfloat16, side by side in the bits of a float32, are turned by an angle and rounded
# to the nearest even.
ROTATE = """
template <typename T> T rotate(T pair, T cosine, T sine) {
  unsigned bits = __float_as_uint(pair);
  float x = __uint_as_float(bits << 16), y = __uint_as_float(bits & 0xffff0000u);
  unsigned u = __float_as_uint(x * cosine - y * sine);
  unsigned v = __float_as_uint(x * sine + y * cosine);
  u += 0x7fffu + ((u >> 16) & 1u);
  v += 0x7fffu + ((v >> 16) & 1u);
  return __uint_as_float((u >> 16) | (v & 0xffff0000u));
}
"""
Way = Callable[[], Tensor]


@dataclass(frozen=True)
class Scale:
    """How large everything is: the released SAM 2 with sixteen objects, or a rehearsal."""

    objects: int = 16
    side: int = 64  # of a map
    image: int = 1024
    frames: int = 8  # that the image encoder sees at once


SMALL = Scale(objects=2, side=8, image=64, frames=1)


def main(words: Sequence[str] | None = None) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmark.operations")
    parser.add_argument("--rehearse", action="store_true", help="small sizes")
    arguments = parser.parse_args(words)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    lines = rows(SMALL if arguments.rehearse else Scale(), device)
    print_table(["operation, bfloat16", "way", "ms", "relative error"], lines)
    return 0


@torch.inference_mode()
def rows(scale: Scale, device: torch.device) -> Iterator[list[str]]:
    """One row for each way of each operation, the way that runs now first."""
    torch.manual_seed(0)
    for name, make in OPERATIONS.items():
        ways = make(scale, device)
        exact: Tensor | None = None
        for way, call in ways.items():
            try:
                found = call().float()
                exact = found if exact is None else exact
                error = float((found - exact).norm() / exact.norm())
                milliseconds = 1e3 * seconds_of(call, device)
            except (AssertionError, AttributeError, RuntimeError) as refusal:
                yield [name, way, "", f"not here: {str(refusal).partition(chr(10))[0][:120]}"]
            else:
                yield [name, way, f"{milliseconds:.3f}", f"{error:.1e}"]


def _random(*shape: int, device: torch.device) -> Tensor:
    return torch.randn(*shape, device=device, dtype=torch.bfloat16)


def rotary(scale: Scale, device: torch.device) -> Mapping[str, Way]:
    """Turn the keys of a map."""
    tokens = _random(scale.objects, scale.side**2, 256, device=device)
    angles = torch.rand(scale.side**2, 128, device=device)
    turns = torch.polar(torch.ones_like(angles), angles)
    cosine, sine = angles.cos(), angles.sin()
    turn: Any = torch.cuda.jiterator._create_jit_fn(ROTATE)
    pairs = tokens.view(torch.float32)
    return {
        "float32 and complex": lambda: rotate(tokens, turns),
        "in one pass (jiterator)": lambda: turn(pairs, cosine, sine).view(torch.bfloat16),
    }


def norm(width: int, shrink: int) -> Callable[[Scale, torch.device], Mapping[str, Way]]:
    """Norm short rows: tokens of the image encoder's stage whose map is the image by `shrink`."""

    def make(scale: Scale, device: torch.device) -> Mapping[str, Way]:
        x = _random(scale.frames * (scale.image // shrink) ** 2, width, device=device)
        weight, bias = _random(width, device=device), _random(width, device=device)

        def by_moments() -> Tensor:
            variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
            return torch.addcmul(bias, (x - mean) * torch.rsqrt(variance + 1e-6), weight)

        return {
            "fused": lambda: F.layer_norm(x, (width,), weight, bias, 1e-6),
            "in passes": by_moments,
        }

    return make


def first_convolution(scale: Scale, device: torch.device) -> Mapping[str, Way]:
    """Make four half maps of the mask: 3 x 3, steps of two."""
    x = _random(scale.objects, 1, scale.image, scale.image, device=device)
    weight, bias = _random(4, 1, 3, 3, device=device), _random(4, device=device)
    last = weight.contiguous(memory_format=torch.channels_last)
    # Of blocks of 2 x 2 pixels, a block and those above and left of it are read.
    blocks = F.pad(weight, (1, 0, 1, 0)).reshape(4, 2, 2, 2, 2).permute(0, 2, 4, 1, 3)
    blocks = blocks.reshape(4, 4, 2, 2).contiguous()

    def of_blocks() -> Tensor:
        return F.conv2d(F.pad(F.pixel_unshuffle(x, 2), (1, 0, 1, 0)), blocks, bias)

    def as_product() -> Tensor:
        windows = F.pad(x[:, 0], (1, 0, 1, 0)).unfold(1, 3, 2).unfold(2, 3, 2).flatten(3)
        return F.linear(windows, weight.flatten(1), bias).permute(0, 3, 1, 2)

    return {
        "convolution": lambda: F.conv2d(x, weight, bias, stride=2, padding=1),
        "channels last": lambda: F.conv2d(
            x.contiguous(memory_format=torch.channels_last), last, bias, stride=2, padding=1
        ),
        "of blocks of 2 x 2": of_blocks,
        "product of windows": as_product,
    }


def time_of_keys(scale: Scale, device: torch.device) -> Mapping[str, Way]:
    """Add to the keys of all objects what the distance in time adds."""
    keys = _random(scale.objects, scale.side**2, 256, device=device)
    times = _random(scale.side**2, 256, device=device)
    for_all = times.expand_as(keys).contiguous()
    return {
        "the same for all objects": lambda: keys + times,
        "written out for all": lambda: keys + for_all,
    }


def two_orders(scale: Scale, device: torch.device) -> Mapping[str, Way]:
    """Add positions that lie channel by channel, and those that lie pixel by pixel."""
    keys = _random(scale.objects, scale.side**2, 256, device=device)
    place = _random(scale.objects, 256, scale.side**2, device=device).transpose(1, 2)
    alike = place.contiguous()
    return {"alike": lambda: keys + alike, "two orders": lambda: keys + place}


def gelu(scale: Scale, device: torch.device) -> Mapping[str, Way]:
    """GELU of the image encoder's third stage."""
    x = _random(scale.frames * scale.side**2, 4 * 576, device=device)
    return {"exact": lambda: F.gelu(x), "by tanh": lambda: F.gelu(x, approximate="tanh")}


OPERATIONS: Mapping[str, Callable[[Scale, torch.device], Mapping[str, Way]]] = {
    "rotary encoding of a map": rotary,
    "norm of 144 channels": norm(144, 4),
    "norm of 288 channels": norm(288, 8),
    "norm of 576 channels": norm(576, 16),
    "mask downsampler's first convolution": first_convolution,
    "time added to keys": time_of_keys,
    "positions added to a map": two_orders,
    "GELU": gelu,
}


if __name__ == "__main__":
    sys.exit(main())
