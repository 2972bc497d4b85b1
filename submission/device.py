"""Which device and precision a run uses; "auto" is settled here, once, and recorded.

Imports torch only when asked, so that the CPU half of the kit never waits for it.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from submission.errors import InputError

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16")


def settle_device(device: str) -> str:
    """Return the device to use: "auto" is the GPU when there is one.

    Raises InputError for a GPU that cannot be used and for an unknown device.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = "no device of torch"
    if kind not in ("cpu", "cuda"):
        raise InputError(f"device is {device!r}; known: auto, cpu, cuda, cuda:1 ...")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"device is {device}, but torch {torch.__version__} finds no usable GPU: look at "
            "nvidia-smi (CUDA 13 needs driver 580 or newer; a container gets GPUs by --gpus all), "
            "or say --device cpu"
        )
    if kind == "cuda" and (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device is {device}, but there are {torch.cuda.device_count()} GPUs, counted from "
            "cuda:0 (CUDA_VISIBLE_DEVICES can hide some)"
        )
    return device


@dataclass(frozen=True)
class Place:
    """The GPU at hand."""

    name: str  # as the driver has it
    free: float  # bytes
    total: float


def gpu_at_hand(device: str) -> Place | None:
    """Return the GPU that a run with this device would use, None for a CPU.

    Raises InputError as settle_device does.
    """
    if device == "cpu":
        return None
    import torch

    if not (settled := settle_device(device)).startswith("cuda"):
        return None
    free, total = torch.cuda.mem_get_info(settled)
    return Place(torch.cuda.get_device_name(settled), free, total)


def settle_dtype(dtype: str, device: str) -> Literal["float32", "bfloat16"]:
    """Return the precision to use: "auto" is bfloat16 on a GPU that has it, else float32."""
    if dtype == "auto":
        return "bfloat16" if device.startswith("cuda") and _has_bfloat16(device) else "float32"
    if dtype not in DTYPES:
        raise InputError(f"dtype is {dtype!r}; known: auto, {', '.join(DTYPES)}")
    return "float32" if dtype == "float32" else "bfloat16"


def _has_bfloat16(device: str) -> bool:
    """Whether a GPU multiplies in bfloat16: from Ampere on; older ones only pretend to, slowly."""
    import torch

    return torch.cuda.get_device_capability(torch.device(device)) >= (8, 0)


def memory_of(device: str) -> int:
    """Return the bytes of memory that are free on a GPU; a CPU has that of the machine."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def settle_for_model(device: object, dtype: object) -> "tuple[torch.device, torch.dtype]":
    """Return where a model runs and in which precision, and make that GPU the current one.

    Libraries ask for the current GPU when they mean ours; and float32 is float32 from here on,
    while by default torch rounds inputs of convolutions to ten bits. Takes names or torch's own
    values; raises InputError as settle_device and settle_dtype.
    """
    import torch

    place = torch.device(settle_device(str(device)))
    precision = settle_dtype(str(dtype).removeprefix("torch."), str(place))
    if place.type == "cuda":
        if place.index is not None:
            torch.cuda.set_device(place)
        if precision == "float32":
            torch.backends.cudnn.allow_tf32 = False
    return place, torch.float32 if precision == "float32" else torch.bfloat16
