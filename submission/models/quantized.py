"""Linear layers of the language model kept in eight bits: half the memory, not quite the numbers.

A weight is a whole number from -127 to 127 times the scale of its row (symmetric: the largest
absolute value of the row is 127). The scale is a number of the model's precision. For each product
the weight is made anew in that precision, `weight * scale` rounded once (whole numbers up to 127
are exact in bfloat16), and goes through torch's own product; so arithmetic is that of the model
with these weights, and only the weights differ. A pass moves an int8 and, written and read, a
number of the model's precision: 5 bytes for each weight instead of 2 in bfloat16.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGEST = 127  # -128 stays unused, so that a weight and its negative are rounded alike
VALUES_AT_ONCE = 1 << 20  # that are rounded in float32 beside the weight: 4 MB


class Int8Linear(nn.Module):
    """Takes the place of a linear layer; has no values until `take` gives it a weight."""

    scale: Tensor  # (outputs, 1), the step between neighbouring weights of a row

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        empty = torch.empty_like(linear.weight, dtype=torch.int8, device="meta")
        self.weight = nn.Parameter(empty, requires_grad=False)
        self.register_buffer("scale", torch.empty(len(empty), 1), persistent=False)
        self.bias = linear.bias

    def take(self, weight: Tensor) -> None:
        """Keep a weight (outputs, inputs) in eight bits, on its device."""
        values, self.scale = quantize(weight)
        self.weight = nn.Parameter(values, requires_grad=False)

    def forward(self, states: Tensor) -> Tensor:
        """States (..., inputs) to (..., outputs), in their precision."""
        return F.linear(states, self.weight * self.scale, self.bias)


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a weight (R, C) to int8 (R, C) and scales (R, 1) in the precision of the weight.

    A value is off by at most half a scale (ties go to the even number). A row of zeros has scale 1;
    a row that is not finite gets a scale that is not, and so stays noticed.
    """
    low, high = weight.aminmax(dim=1, keepdim=True)
    scale = (torch.maximum(high, -low).float() / LARGEST).to(weight.dtype)
    scale = torch.where(scale == 0, 1, scale)
    values = torch.empty_like(weight, dtype=torch.int8, memory_format=torch.contiguous_format)
    rows = max(1, VALUES_AT_ONCE // weight.shape[1])
    for part in range(0, len(weight), rows):
        block = slice(part, part + rows)
        steps = weight[block] / scale[block].float()
        values[block] = steps.round_().clamp_(-LARGEST, LARGEST)
    return values, scale


def keep_in_int8(layers: nn.Module) -> None:
    """Let every linear layer below `layers` keep its weight in eight bits; in place."""
    found = [(owner, name) for owner in layers.modules() for name, child in owner.named_children()
             if isinstance(child, nn.Linear)]  # fmt: skip
    for owner, name in found:
        setattr(owner, name, Int8Linear(getattr(owner, name)))
