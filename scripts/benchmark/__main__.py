"""Print how long the public procedure and ours take, per stage, and that their masks agree.

python -m scripts.benchmark --size small --sentences 1,4,16 --frames 40 --key-frames 5
python -m scripts.benchmark --size Sa2VA-8B --device cuda --height 720 --width 1280
"""

import argparse
import platform
import resource
import subprocess
import time
from collections.abc import Callable

import torch
import transformers

from scripts.benchmark.procedures import (
    Load,
    agreement,
    ours,
    public,
    sentences,
    synthetic_clip,
)  # fmt: skip
from scripts.benchmark.random_model import random_model
from scripts.benchmark.sizes import NAMES
from scripts.benchmark.stages import timed_organs
from submission.device import settle_device, settle_dtype
from submission.model import Answer, Sa2VA

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def main() -> None:
    arguments = _parse()
    device = settle_device(arguments.device)
    dtype = settle_dtype(arguments.dtype, device)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(_describe(device, dtype))
    model = random_model(arguments.size, torch.device(device), DTYPES[dtype])
    print(
        f"{arguments.size}, random weights, {arguments.height} x {arguments.width}, "
        f"T = {arguments.frames}, M = {arguments.key_frames}, {arguments.procedure}\n"
    )
    print("| sentences | public, s | ours, s | factor | public, frames/s | ours, frames/s "
          "| lowest IoU | equal pixels | peak memory |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for count in arguments.sentences:
        _compare(model, _load(arguments, count), arguments.repeats)


def _compare(model: Sa2VA, load: Load, repeats: int) -> None:
    """Run both procedures in turn and print the faster time of each."""
    ours(model, Load(load.frames[:8], load.sentences[:1], load.num_frames, load.procedure))
    times: dict[str, list[float]] = {"public": [], "ours": []}
    for _ in range(repeats):
        slow, seconds = _timed(model, load, public)
        times["public"].append(seconds)
        fast, seconds = _timed(model, load, ours)
        times["ours"].append(seconds)
    iou, equal = agreement(slow, fast)
    masks = len(load.frames) * len(load.sentences)
    a, b = min(times["public"]), min(times["ours"])
    print(f"| {len(load.sentences)} | {a:.2f} | {b:.2f} | {a / b:.1f} | {masks / a:.1f} "
          f"| {masks / b:.1f} | {iou:.4f} | {equal:.6f} | {_peak(model)} |")  # fmt: skip
    for name, procedure in (("public", public), ("ours", ours)):
        with timed_organs(model) as seconds_of:
            _, total = _timed(model, load, procedure)
        told = sorted(seconds_of.items(), key=lambda item: -item[1])
        rest = total - sum(seconds_of.values())
        words = ", ".join(f"{organ} {value:.2f}" for organ, value in [*told, ("rest", rest)])
        print(f"<!-- {name}: {words} -->")


def _timed(
    model: Sa2VA, load: Load, procedure: Callable[[Sa2VA, Load], list[Answer]]
) -> tuple[list[Answer], float]:
    started = time.perf_counter()
    answers = procedure(model, load)
    return answers, time.perf_counter() - started


def _load(arguments: argparse.Namespace, count: int) -> Load:
    clip = synthetic_clip(arguments.frames, arguments.height, arguments.width)
    return Load(clip, sentences(count), arguments.key_frames, arguments.procedure)


def _peak(model: Sa2VA) -> str:
    if model.device.type == "cuda":
        return f"{torch.cuda.max_memory_allocated(model.device) / 1e9:.1f} GB on the GPU"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB"


def _describe(device: str, dtype: str) -> str:
    revision = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    if device.startswith("cuda"):
        place = torch.cuda.get_device_name(device)
    else:
        place = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    return (
        f"{place}, {dtype}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}, revision {revision}"
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    counts = lambda text: [int(part) for part in text.split(",")]  # noqa: E731
    parser.add_argument("--size", choices=NAMES, default="small")
    parser.add_argument("--sentences", type=counts, default=[1, 4, 16], metavar="E,E,...")
    parser.add_argument("--frames", type=int, default=40, metavar="T")
    parser.add_argument("--key-frames", type=int, default=5, metavar="M")
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--procedure", choices=("sa2va", "sa2va-i"), default="sa2va")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", choices=("auto", *DTYPES), default="auto")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    parser.add_argument("--repeats", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
