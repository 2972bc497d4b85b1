"""Where a GPU's time goes in one video: kernels by stage, and how long it had nothing to do.

    python -m scripts.benchmark.trace --size Sa2VA-8B --sentences 16,1 --compile off,parts

Each case is timed as it is, then once more under torch's profiler, which slows the host and not the
kernels: so seconds are of the first, and the GPU's part of them is the sum of the second's kernels.
A kernel counts for the innermost stage that launched it; nothing is waited for at the borders. The
host's seconds are its own in each stage under the profiler: to be compared with one another.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from scripts.benchmark.cases import Case
from scripts.benchmark.clips import sentences, synthetic_clip
from scripts.benchmark.cost import peak_of
from scripts.benchmark.procedures import Load, ours
from scripts.benchmark.random_model import make_model
from scripts.benchmark.resources import peak_memory
from scripts.benchmark.sizes import NAMES
from scripts.benchmark.stages import organs
from scripts.benchmark.tables import print_table, size_of
from submission.compute import Compute
from submission.device import settle_device
from submission.models.mask_packing import MaskStack
from submission.models.sa2va import language
from submission.models.sa2va.internvl import backbone as internvl
from submission.models.sa2va.model import Sa2VA
from submission.models.sam2 import image_features
from submission.models.sam2.fixed_parts import WANTED, fixed_parts
from submission.models.sam2.memory_attention import MemoryReader
from submission.models.sam2.memory_bank import MemoryBank
from submission.video.frame_loader import FrameLoader

WARM_UP, REPEATS, SHOWN = 2, 3, 5
ELSEWHERE = "elsewhere"
STAGES: tuple[tuple[Any, str, str], ...] = (
    (FrameLoader, "frames", "waiting for frames"),
    (image_features.FrameFeatures, "_pixels", "upload"),
    (image_features, "normalise", "normalise"),
    (MemoryReader, "read", "memory attention"),
    (MemoryReader, "project_keys", "keys and values of a map"),
    (MemoryReader, "project_values", "keys and values of a map"),
    (MemoryBank, "show", "memory bank"),
    (MemoryBank, "show_prompted", "memory bank"),
    (Sa2VA, "upsample", "enlarging"),
    (MaskStack, "draw", "packing"),
    (internvl, "read_prefix", "language: prefix"),
    (language, "answer", "language: answers"),
)


@dataclass
class Stage:
    """What one stage launched."""

    kernels: int = 0
    seconds: float = 0.0  # of the GPU
    host: float = 0.0  # seconds of the host, those of stages within it left out
    by_name: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def main(words: Sequence[str] | None = None) -> int:
    """Print one table for each case."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.benchmark.trace", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--size", choices=NAMES, default="Sa2VA-8B")
    parser.add_argument("--sentences", default="16,1", metavar="E,E,...")
    parser.add_argument("--frames", type=int, default=80, metavar="T")
    parser.add_argument("--key-frames", type=int, default=5, metavar="M")
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--attention", default="auto", metavar="KERNEL,...")
    parser.add_argument("--compile", default="off", metavar=",".join(WANTED))
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--traced", type=int, default=1000, metavar="N",
                        help="trace the first N cases; a trace takes ten seconds")  # fmt: skip
    parser.add_argument(
        "--first",
        action="store_true",
        help="trace the first run of each case, too: what a new shape takes",
    )
    arguments = parser.parse_args(words)
    device = torch.device(settle_device("auto"))
    on_gpu = device.type == "cuda"
    model = make_model(arguments.size, device, torch.bfloat16 if on_gpu else torch.float32)
    model.limits = Compute().limits_on(device.type)
    clip = synthetic_clip(arguments.frames, arguments.height, arguments.width)
    traced = arguments.traced
    for attention in arguments.attention.split(","):
        for compile in arguments.compile.split(","):
            for count in map(int, arguments.sentences.split(",")):
                model.network.grounding.attention = attention
                model.parts = fixed_parts(compile, device)
                load = Load(clip, sentences(count), arguments.key_frames)
                case = f"{arguments.size}, M = {arguments.key_frames}, E = {count}"
                print(f"\n### {case}, {model.attention}, compile {compile}")
                if arguments.first:
                    tell_stages(model, load, by_host=True)
                tell(model, load, arguments.repeats, estimate_of(arguments, count, model))
                if traced > 0:
                    tell_stages(model, load)
                traced -= 1
    return 0


def estimate_of(arguments: argparse.Namespace, count: int, model: Sa2VA) -> float:
    """Peak memory that the dry run would expect of a case, in bytes."""
    case = Case(
        arguments.size, arguments.frames, arguments.key_frames, count, arguments.height,
        arguments.width,
    )  # fmt: skip
    on_gpu = model.device.type == "cuda"
    capacity = torch.cuda.get_device_properties(model.device).total_memory if on_gpu else 0.0
    return peak_of(case, model.limits, gpu_bytes=capacity, value_bytes=model.dtype.itemsize)


def tell(model: Sa2VA, load: Load, repeats: int, estimate: float) -> None:
    """Time a case and print it: the median, and all of which it is one."""
    with peak_memory(model.device) as peak:
        first = [_seconds(model, load) for _ in range(WARM_UP)]
    taken = [_seconds(model, load) for _ in range(repeats)]
    times = f"{median(taken):.3f} s (of {', '.join(f'{one:.3f}' for one in [*first, *taken])})"
    print(f"\n{times}; peak {size_of(peak.held)}, estimated {size_of(estimate)}", flush=True)


def tell_stages(model: Sa2VA, load: Load, *, by_host: bool = False) -> None:
    """Trace a case and print what each stage took, of the GPU and of the host."""
    with named_stages(model), recorded(model.device) as events:
        taken = _seconds(model, load)
    stages = by_stage(events)
    busy = sum(stage.seconds for stage in stages.values())
    kernels = sum(stage.kernels for stage in stages.values())
    print(f"\ntraced {taken:.3f} s; GPU at work {busy:.3f} s, {kernels} kernels\n")
    taken_by = {name: one.host if by_host else one.seconds for name, one in stages.items()}
    order = sorted(stages, key=lambda name: -taken_by[name])
    print_table(
        ["stage", "kernels", "s", "host, s", "largest kernels, ms"],
        ([name, str(one.kernels), f"{one.seconds:.3f}", f"{one.host:.3f}", largest(one)]
         for name in order for one in [stages[name]]),
    )  # fmt: skip
    if calls := driver_calls(events):
        print(f"\nCalls of the driver that took longest, s (calls): {calls}")
    sys.stdout.flush()


def driver_calls(events: Sequence[dict[str, Any]]) -> str:
    """What the host spent in the driver: memory, modules, launches, waiting."""
    taken: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") in ("cuda_runtime", "cuda_driver"):
            taken[event["name"]].append(event["dur"] / 1e6)
    order = sorted(taken, key=lambda name: -sum(taken[name]))[:SHOWN]
    return "; ".join(f"{name} {sum(taken[name]):.3f} ({len(taken[name])})" for name in order)


def largest(stage: Stage) -> str:
    """The kernels that take most of a stage, in milliseconds."""
    order = sorted(stage.by_name, key=lambda name: -stage.by_name[name])[:SHOWN]
    return "; ".join(f"{_short(name)} {1e3 * stage.by_name[name]:.1f}" for name in order)


def by_stage(events: Sequence[dict[str, Any]]) -> dict[str, Stage]:
    """Add up the kernels of a trace (Chrome's format) by the stage that launched them."""
    launched = {
        event["args"]["correlation"]: (event["tid"], event["ts"])
        for event in events
        if event.get("cat") in ("cuda_runtime", "cuda_driver")
    }
    ranges: dict[Any, list[tuple[float, float, str]]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "user_annotation":
            ranges[event["tid"]].append((event["ts"], event["ts"] + event["dur"], event["name"]))
    kernels = [
        event for event in events if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")
    ]
    order = sorted(
        (launched[event["args"]["correlation"]], number)
        for number, event in enumerate(kernels)
        if event["args"].get("correlation") in launched
    )
    stages: dict[str, Stage] = defaultdict(Stage)
    owners = _innermost(ranges, [place for place, _ in order])
    for (_, number), owner in zip(order, owners, strict=True):
        event, stage = kernels[number], stages[owner]
        stage.kernels += 1
        stage.seconds += event["dur"] / 1e6
        stage.by_name[event["name"]] += event["dur"] / 1e6
    for name, seconds in _own_seconds(ranges):
        stages[name].host += seconds
    return dict(stages)


def _own_seconds(
    ranges: dict[Any, list[tuple[float, float, str]]],
) -> Iterator[tuple[str, float]]:
    """What each range takes without those within it; the ranges of a thread nest."""
    for some in ranges.values():
        around: list[tuple[float, str]] = []  # end and name
        for begin, end, name in sorted(some, key=lambda one: (one[0], -one[1])):
            while around and around[-1][0] <= begin:
                around.pop()
            yield name, (end - begin) / 1e6
            if around:
                yield around[-1][1], (begin - end) / 1e6
            around.append((end, name))


def _innermost(
    ranges: dict[Any, list[tuple[float, float, str]]], places: Sequence[tuple[Any, float]]
) -> Iterator[str]:
    """The innermost range around each moment of a thread; the moments are sorted."""
    waiting = {thread: sorted(some, key=lambda one: (one[0], -one[1]))[::-1]
               for thread, some in ranges.items()}  # fmt: skip
    open_ones: dict[Any, list[tuple[float, float, str]]] = defaultdict(list)
    for thread, moment in places:
        around, coming = open_ones[thread], waiting.get(thread, [])
        while coming and coming[-1][0] <= moment:
            around.append(coming.pop())
        while around and around[-1][1] < moment:
            around.pop()
        yield around[-1][2] if around else ELSEWHERE


@contextmanager
def named_stages(model: Sa2VA) -> Iterator[None]:
    """Give what is launched by each stage the stage's name."""
    with ExitStack() as stack:
        for owner, name, stage in STAGES:
            stack.enter_context(patch.object(owner, name, _named(getattr(owner, name), stage)))
        run = type(model.parts).run

        def run_part(self: Any, function: Any, /, *arguments: Any, **named: Any) -> Any:
            name = next((PARTS[key] for key in PARTS if key in str(function)), str(function)[:30])
            with record_function(name):
                return run(self, function, *arguments, **named)

        stack.enter_context(patch.object(type(model.parts), "run", run_part))
        for module, stage in organs(model).items():
            stack.enter_context(patch.object(module, "forward", _named(module.forward, stage)))
        yield


PARTS = {
    "encode_levels": "image encoder", "decode_tracked": "mask decoder",
    "decode_language": "mask decoder", "decode_given_mask": "mask decoder",
    "encode_memory": "memory encoder", "project_keys": "keys and values of a map",
    "_begin": "memory attention: layers", "_go_on": "memory attention: layers",
}  # fmt: skip


def _named(function: Callable[..., Any], stage: str) -> Callable[..., Any]:
    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        with record_function(stage):
            return function(*arguments, **named)

    return call


@contextmanager
def recorded(device: torch.device) -> Iterator[list[dict[str, Any]]]:
    """Give the events of the block, when it has ended."""
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    events: list[dict[str, Any]] = []
    with profile(activities=kinds) as found:
        yield events
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        found.export_chrome_trace(str(file))
        events += json.loads(file.read_bytes())["traceEvents"]


def _seconds(model: Sa2VA, load: Load) -> float:
    started = time.perf_counter()
    ours(model, load)
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.perf_counter() - started


def _short(name: str) -> str:
    """A kernel's name without its return type and arguments."""
    name = name.removeprefix("void ").replace("(anonymous namespace)::", "").split("(", 1)[0]
    for space in ("at::native::", "at::cuda::", "cutlass::", "c10::"):
        name = name.replace(space, "")
    return name[:60]


if __name__ == "__main__":
    sys.exit(main())
