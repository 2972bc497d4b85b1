"""Which device and precision a run uses; "auto" is settled here, once, and recorded.

Imports torch only when asked, so that the CPU half of the kit never waits for it.
"""

from submission.errors import InputError

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
        raise InputError(f"device is {device!r}; known: auto, cpu, cuda, cuda:1 ...") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"device is {device}, but torch {torch.__version__} finds no usable GPU: look at "
            "nvidia-smi (CUDA 13 needs driver 580 or newer; a container gets GPUs by --gpus all), "
            "or say --device cpu"
        )
    return device


def settle_dtype(dtype: str, device: str) -> str:
    """Return the precision to use: "auto" is bfloat16 on a GPU and float32 on a CPU."""
    if dtype == "auto":
        return "bfloat16" if device.startswith("cuda") else "float32"
    if dtype not in DTYPES:
        raise InputError(f"dtype is {dtype!r}; known: auto, {', '.join(DTYPES)}")
    return dtype
