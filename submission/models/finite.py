"""Values that are no numbers: found while weights are read, and named by layer where they arise.

NaN and infinity are what an overflowing fine-tuning, a bad cast or a damaged disk leave. A network
with one of them answers every sentence with empty masks and no error.
"""

import torch
from torch import Tensor

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
