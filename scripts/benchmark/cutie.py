"""Cutie with random weights: what sharing a frame's features saves, and that memory stays bounded.

    python -m scripts.benchmark.cutie --threads 1
    python -m scripts.benchmark.cutie --threads 1 --long 2000

One clip, a mask at key frames spread over it, both directions. Apart is each candidate by itself,
with nothing kept between the directions, as the package alone goes; together is how the kit goes.
Seconds are of the process's CPU time on a CPU, so that other work on the machine does not count.
"""

import argparse
import resource
import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from scripts.benchmark.tables import print_table
from submission.models.cutie import CutieSettings
from submission.models.cutie.model import Cutie
from submission.models.cutie.network import Size, lay_out

CANDIDATES = (1, 4, 16)
LONG_SIZE = (96, 128)  # pixels of a frame, for the long clip
LOOKS = 8  # at the memory of a long run


def main(words: Sequence[str] | None = None) -> int:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmark.cutie")
    parser.add_argument("--size", choices=("base", "small"), default="base")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--pixels", type=int, nargs=2, default=(240, 432), metavar=("H", "W"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--long", type=int, default=0, metavar="T", help="memory over T frames")
    asked = parser.parse_args(words)
    torch.set_num_threads(asked.threads)
    model = random_model(asked.size, torch.device(asked.device), getattr(torch, asked.dtype))
    if asked.long:
        print_table(["frames", "peak memory, MB"], memory_lines(model, asked.long))
    else:
        header = ["candidates", "apart: encoded", "frames/s", "together: encoded", "frames/s",
                  "factor"]  # fmt: skip
        print_table(header, sharing_lines(model, Clip(asked.frames, tuple(asked.pixels))))
    return 0


class Clip:
    """Noise that moves, made frame by frame."""

    def __init__(self, length: int, size: tuple[int, int]) -> None:
        self._length = length
        self._noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return np.roll(self._noise, 3 * index, axis=1)

    def mask(self) -> NDArray[np.uint8]:
        """One object in the middle."""
        height, width = self._noise.shape[:2]
        ids = np.zeros((height, width), np.uint8)
        ids[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = 1
        return ids


def random_model(size: Size, device: torch.device, dtype: torch.dtype) -> Cutie:
    """A network that is fast and slow as the real one; its masks mean nothing."""
    torch.manual_seed(0)
    network = lay_out(size).to_empty(device=device)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            spread = value[0].numel() ** -0.5 if value.ndim > 1 else 0.02
            value.normal_(0, spread)
            if name.endswith(("running_var", "bn1.weight", "bn2.weight", "bn3.weight")):
                value.fill_(1)
    return Cutie(network.requires_grad_(False).eval(), size, device, dtype)


def sharing_lines(model: Cutie, clip: Clip) -> Iterator[list[str]]:
    """One line for each number of candidates."""
    for count in CANDIDATES:
        starts = np.linspace(0, len(clip) - 1, count + 2).round().astype(int)[1:-1]
        masks = [{int(start): clip.mask()} for start in starts]
        apart = [timed(model, clip, [one], budget_bytes=0) for one in masks]
        seconds, encoded = (sum(values) for values in zip(*apart, strict=True))
        shared_seconds, shared = timed(model, clip, masks)
        frames = count * len(clip)
        yield [
            str(count), str(encoded), f"{frames / seconds:.2f}", str(shared),
            f"{frames / shared_seconds:.2f}", f"{seconds / shared_seconds:.2f}",
        ]  # fmt: skip


def timed(
    model: Cutie, clip: Clip, masks: Sequence[dict[int, NDArray[np.uint8]]],
    budget_bytes: float = 8e9,
) -> tuple[float, int]:  # fmt: skip
    """Return seconds, and frames that passed the image encoder."""
    features = model.features(budget_bytes)
    on_cpu = model.device.type == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    started = clock()
    drain(model.propagate_each(clip, masks, features=features))
    if not on_cpu:
        torch.cuda.synchronize(model.device)
    return clock() - started, features.encoded


def drain(steps: Iterable[object]) -> None:
    """Go through all steps."""
    for _ in steps:
        pass


def memory_lines(model: Cutie, length: int) -> Iterator[list[str]]:
    """The largest memory of the process so far, while one candidate goes through a long clip."""
    clip = Clip(length, LONG_SIZE)
    settings = CutieSettings()
    looks = {length * look // LOOKS for look in range(1, LOOKS + 1)} | {settings.mem_every * 10}
    steps = model.propagate_each(clip, [{0: clip.mask()}], settings)
    for seen, _ in enumerate(steps, 1):
        if seen in looks:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
            yield [f"{seen:,}", f"{peak:.0f}"]


if __name__ == "__main__":
    raise SystemExit(main())
