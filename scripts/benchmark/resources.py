"""Peak memory, and how busy a GPU is, while a block runs; and what the machine is."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import transformers

from submission.run.record import cpu_name

SAMPLE_EVERY = 100  # milliseconds between two looks at the GPU
QUERY = "--query-gpu=utilization.gpu,power.draw"


def describe_machine(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Hardware and versions, by name."""
    if device.type == "cuda":
        place = torch.cuda.get_device_name(device)
    else:
        place = f"{cpu_name()}, {torch.get_num_threads()} of {os.cpu_count()} threads"
    return {
        "device": place,
        "dtype": str(dtype).removeprefix("torch."),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def revision() -> str:
    """The commit of the code, with "-dirty" when files differ from it."""
    words = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


# --- memory --------------------------------------------------------------------------------------
@dataclass
class Peak:
    """The most memory that was held, in bytes."""

    held: int = 0  # on a CPU since the start, where the sandbox does not let it begin anew
    reserved: int = 0  # by PyTorch's allocator, on a GPU


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Measure the peak while the block runs; it is filled in at the end.

    PyTorch's cache on a GPU is emptied first, so what runs inside allocates anew.
    """
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.held = torch.cuda.max_memory_allocated(device)
        peak.reserved = torch.cuda.max_memory_reserved(device)
    else:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        yield peak
        peak.held = _status_bytes("VmHWM")


def _status_bytes(key: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    raise LookupError(f"/proc/self/status has no {key}")


def available_bytes(device: torch.device) -> int:
    """Memory that is free now: of the GPU, or of the machine."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise LookupError("/proc/meminfo has no MemAvailable")


# --- how busy the GPU is -------------------------------------------------------------------------
@dataclass
class Utilisation:
    """Samples of nvidia-smi while a block ran: mean share of time with a kernel, mean watts."""

    busy: float | None = None  # 0 to 1; None without a GPU or without a sample
    watts: float | None = None
    samples: int = field(default=0)


@contextmanager
def utilisation(device: torch.device) -> Iterator[Utilisation]:
    """Look at the GPU ten times a second while the block runs."""
    seen = Utilisation()
    if device.type != "cuda" or shutil.which("nvidia-smi") is None:
        yield seen
        return
    words = ["nvidia-smi", f"--id={name_for_smi(device, os.environ)}", QUERY]
    words += ["--format=csv,noheader,nounits", f"--loop-ms={SAMPLE_EVERY}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as watcher:
        try:
            yield seen
        finally:
            watcher.terminate()
            lines = watcher.communicate()[0].splitlines()
    samples = parse_samples(lines)
    if samples:
        seen.busy = fmean(busy for busy, _ in samples)
        seen.watts = fmean(watts for _, watts in samples)
        seen.samples = len(samples)


def name_for_smi(device: torch.device, environment: Mapping[str, str]) -> str:
    """What nvidia-smi calls the GPU: it counts those that CUDA_VISIBLE_DEVICES hides, too."""
    index = device.index or 0
    visible = [name.strip() for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return visible[index] if visible[0] and index < len(visible) else str(index)


def parse_samples(lines: Sequence[str]) -> list[tuple[float, float]]:
    """Read `87, 412.31` as (0.87, 412.31); a line cut off in the middle is left out."""
    samples = []
    for line in lines:
        try:
            busy, watts = (float(part) for part in line.split(","))
        except ValueError:
            continue
        samples.append((busy / 100, watts))
    return samples
