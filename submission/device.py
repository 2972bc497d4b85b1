"""Which device and precision a run uses; "auto" is settled here, once, and recorded.

Imports torch only when asked, so that the CPU half of the kit never waits for it.
"""

import os
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from submission.errors import InputError

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16")
DRIVER = Path("/proc/driver/nvidia/version")  # the kernel's module, where Linux has it
# The oldest driver branch for a CUDA version, from NVIDIA's table of minor version compatibility.
OLDEST_DRIVER = {"12": 525, "13": 580}


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
            f"nvidia-smi ({why_no_gpu()}; a container gets GPUs by --gpus all), "
            "or say --device cpu"
        )
    if kind == "cuda" and (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device is {device}, but there are {torch.cuda.device_count()} GPUs, counted from "
            "cuda:0 (CUDA_VISIBLE_DEVICES can hide some)"
        )
    return device


def why_no_gpu() -> str:
    """Say, where torch finds no GPU, which driver is there and what is needed for one."""
    import torch

    driver = find_driver()
    there = f"the NVIDIA driver found is {driver}" if driver else "no NVIDIA driver was found"
    if torch.version.cuda is None:
        return (
            f"{there}, and torch {torch.__version__} is built without CUDA: on a machine with a "
            "driver, TORCH=cuda make set-up puts the CUDA build in its place"
        )
    needed = OLDEST_DRIVER.get(torch.version.cuda.partition(".")[0])
    wants = f"driver {needed} or newer" if needed else "a driver for it"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if driver and needed and int(driver.partition(".")[0]) >= needed:
        wants += " (it is); look at nvidia-smi" + (
            f" and at CUDA_VISIBLE_DEVICES, which is {hidden!r}" if hidden is not None else ""
        )
    return f"{there}; torch {torch.__version__} (CUDA {torch.version.cuda}) needs {wants}"


def find_driver() -> str:
    """Return the version of the NVIDIA driver, such as 580.65.06; empty where there is none."""
    try:
        said = DRIVER.read_text(encoding="utf-8", errors="replace")
    except OSError:
        said = _ask_driver()
    found = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", said)
    return found[0] if found else ""


def _ask_driver() -> str:
    words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(
            words, capture_output=True, text=True, timeout=20, check=False
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""


@dataclass(frozen=True)
class Place:
    """The GPU at hand."""

    name: str  # as the driver has it
    free: float  # bytes
    total: float

    def of(self, share: float) -> "Place":
        """What a process has of it that may use a share of its memory, 0..1."""
        return replace(self, free=min(self.free, share * self.total), total=share * self.total)


def num_gpus() -> int:
    """How many GPUs a run on GPUs may use here."""
    import torch

    return int(torch.cuda.device_count())


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
    values. A GPU comes with its number: "cuda" alone means the current one at every use, and that
    is another when a second model is loaded elsewhere. Raises InputError as settle_device and
    settle_dtype.
    """
    import torch

    place = torch.device(settle_device(str(device)))
    precision = settle_dtype(str(dtype).removeprefix("torch."), str(place))
    if place.type == "cuda":
        number = torch.cuda.current_device() if place.index is None else place.index
        place = torch.device("cuda", number)
        torch.cuda.set_device(place)
        if precision == "float32":
            torch.backends.cudnn.allow_tf32 = False
    return place, torch.float32 if precision == "float32" else torch.bfloat16
