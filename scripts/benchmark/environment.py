"""What the machine is and what it can do at most: versions, matrix products, copies, decoding."""

import argparse
import io
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from statistics import median

import numpy as np
import torch
from PIL import Image

from scripts.benchmark.resources import available_bytes, revision
from scripts.benchmark.tables import print_table, size_of
from submission.dataset.images import decode_rgb

PACKAGES = ("torch", "transformers", "sam2", "numpy", "pillow", "triton", "safetensors")


def main(words: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmark.environment")
    parser.add_argument("--rehearse", action="store_true", help="small sizes")
    side = 512 if parser.parse_args(words).rehearse else 8192
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print_table(["", ""], chain(facts(device), ceilings(device, side)))
    return 0


def facts(device: torch.device) -> list[list[str]]:
    """Hardware and versions, by name."""
    lines = [
        ["revision", revision()], ["Python", platform.python_version()],
        ["system", platform.platform()], ["CPU cores", str(os.cpu_count())],
        ["memory free", size_of(available_bytes(torch.device("cpu")))],
    ]  # fmt: skip
    lines += [[name, _version(name)] for name in PACKAGES]
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        lines += [
            ["GPU", f"{card.name}, {size_of(card.total_memory)}, "
                    f"{card.multi_processor_count} multiprocessors"],
            ["GPU memory free", size_of(available_bytes(device))],
            ["CUDA, cuDNN", f"{torch.version.cuda}, {torch.backends.cudnn.version()}"],
            ["driver", _driver()],
        ]  # fmt: skip
    return lines


def ceilings(device: torch.device, side: int) -> Iterator[list[str]]:
    """The largest rates that are seen here: what shares of them can be judged by."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    product = seconds_of(lambda: a @ b, device)
    yield [f"bfloat16 matrix product, {side} wide", f"{2 * side**3 / product / 1e12:.1f} TFLOP/s"]
    copied = torch.empty_like(a)
    copy = seconds_of(lambda: copied.copy_(a), device)
    yield ["copy on the device, read and written", f"{2 * a.nbytes / copy / 1e12:.2f} TB/s"]
    for what, seconds in reading():
        yield [f"{what}, one thread", f"{1e9 * seconds / (1080 * 1920):.1f} ns a pixel"]


def reading() -> Iterator[tuple[str, float]]:
    """Seconds to decode a noisy JPEG of 1080p, and to resize it for SAM 2."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (68, 121, 3), np.uint8)).resize((1920, 1080))
    noisy = np.asarray(coarse).astype(int) + rng.integers(-12, 13, (1080, 1920, 3))
    file = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    frame, cpu = Image.fromarray(decode_rgb(file.getvalue())), torch.device("cpu")
    squash = partial(frame.resize, (1024, 1024), Image.Resampling.BICUBIC)
    yield "decoding a JPEG of 1080p", seconds_of(lambda: decode_rgb(file.getvalue()), cpu)
    yield "resizing it to SAM 2's square", seconds_of(squash, cpu)


def seconds_of(
    call: Callable[[], object], device: torch.device, repeats: int = 10, warm_up: int = 2
) -> float:
    """Median seconds of a call, after some that warm up."""
    taken = []
    for _ in range(repeats + warm_up):
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    return median(taken[warm_up:])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _driver() -> str:
    if shutil.which("nvidia-smi") is None:
        return "no nvidia-smi"
    words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
