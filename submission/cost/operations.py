"""Work of single operations: FLOP, values read and written, parameters read, kernels started.

Conventions: a multiplication with an addition is 2 FLOP; matrix products, convolutions and both
products of an attention are counted, nothing else is, as torch's FlopCounterMode does. Pointwise
steps (norms, activations, additions, resizing) count as values moved. Attention never writes its
scores: exact kernels that keep them on the chip are assumed.
"""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Work:
    """An amount of work; `3 * work` repeats it, `work + other` does both."""

    flop: float = 0.0
    values: float = 0.0  # activations read or written, in numbers, not bytes
    weights: float = 0.0  # parameters read
    calls: float = 0.0  # kernels started

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.flop + other.flop, self.values + other.values, self.weights + other.weights,
            self.calls + other.calls,
        )  # fmt: skip

    def __rmul__(self, times: float) -> "Work":
        return Work(
            times * self.flop, times * self.values, times * self.weights, times * self.calls
        )

    def moved(self, value_bytes: int) -> float:
        """Bytes between the chip and its memory, for values of `value_bytes` bytes."""
        return (self.values + self.weights) * value_bytes


NOTHING = Work()


def linear(rows: float, inputs: int, outputs: int) -> Work:
    """`rows` vectors through a matrix with bias."""
    return Work(
        2 * rows * inputs * outputs, rows * (inputs + outputs), inputs * outputs + outputs, 1
    )


def mlp(rows: float, *sizes: int) -> Work:
    """Linear layers one after another, with an activation between them."""
    layers = [linear(rows, a, b) for a, b in pairwise(sizes)]
    return add(*layers, *(pointwise(rows * size) for size in sizes[1:-1]))


def attend(queries: float, keys: float, width: float, *, kv_width: float | None = None) -> Work:
    """Attention of `queries` to `keys`, `width` being all heads together; no projections."""
    kv_width = width if kv_width is None else kv_width
    return Work(4 * queries * keys * width, 2 * queries * width + 2 * keys * kv_width, calls=1)


def convolve(
    places: float, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> Work:
    """A convolution with bias that gives `places` vectors, with a square kernel."""
    weights = inputs // groups * outputs * kernel**2
    return Work(2 * places * weights, places * (stride**2 * inputs + outputs), weights + outputs, 1)


def enlarge(places: float, inputs: int, outputs: int) -> Work:
    """A transposed convolution, kernel and stride 2, from `places` to four times as many."""
    weights = 4 * inputs * outputs
    return Work(2 * places * weights, places * (inputs + 4 * outputs), weights + outputs, 1)


def pointwise(values: float, passes: int = 1) -> Work:
    """Read and write `values` numbers, `passes` times."""
    return Work(values=2 * values * passes, calls=passes)


def normalise(rows: float, width: int) -> Work:
    """A norm with scale and shift over vectors."""
    return Work(values=2 * rows * width, weights=2 * width, calls=1)


def batched(batch: float, one: Work) -> Work:
    """`one` for each of a batch, in the same kernels and with the same parameters."""
    return Work(batch * one.flop, batch * one.values, one.weights, one.calls)


def add(*parts: Work) -> Work:
    """All parts, one after another."""
    return sum(parts, NOTHING)
