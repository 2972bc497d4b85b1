"""The whole way on the sample split, on the GPU and on the CPU: seconds, and the masks compared."""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from scripts.benchmark.tables import markdown


def main(words: Sequence[str] | None = None) -> int:
    """Submit twice and print what differs; 1 when a call failed."""
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmark.submit_twice")
    parser.add_argument("--devices", nargs=2, metavar="DEVICE", help="cuda cpu")
    parser.add_argument("--rehearse", action="store_true", help="one video only")
    arguments = parser.parse_args(words)
    devices = arguments.devices or usual_devices(rehearse=arguments.rehearse)
    only = ["--videos", "clip_00"] if arguments.rehearse else []
    with tempfile.TemporaryDirectory() as folder:
        runs = [Path(folder) / f"{n}-{device}" for n, device in enumerate(devices)]
        for run, device in zip(runs, devices, strict=True):
            started = time.monotonic()
            call = [sys.executable, "-m", "submission", "submit", "--run", str(run)]
            call += ["--device", device, "--dtype", "float32", "--quiet", *only]
            done = subprocess.run(call, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"submit on {device} failed:\n{done.stderr}", file=sys.stderr)
                return 1
            print(f"- {device}: {time.monotonic() - started:.1f} s")
        print(f"\n{compare(*(run / 'Annotations' for run in runs))}")
    return 0


def usual_devices(*, rehearse: bool) -> tuple[str, str]:
    """The GPU and the CPU; where a rehearsal finds no GPU, the CPU stands in for it."""
    return ("cpu" if rehearse and not torch.cuda.is_available() else "cuda"), "cpu"


def compare(first: Path, second: Path) -> str:
    """A table of how far two folders of PNGs agree. Raises ValueError for different file names."""
    names = [{path.relative_to(folder) for path in folder.rglob("*.png")}
             for folder in (first, second)]  # fmt: skip
    if names[0] != names[1]:
        raise ValueError(f"{first} and {second} hold different files")
    tracks: dict[Path, list[int]] = {}
    same_files = 0
    for name in sorted(names[0]):
        a, b = (np.asarray(Image.open(folder / name)) > 0 for folder in (first, second))
        counts = tracks.setdefault(name.parent, [0, 0])
        counts[0] += int(np.count_nonzero(a & b))
        counts[1] += int(np.count_nonzero(a | b))
        same_files += (first / name).read_bytes() == (second / name).read_bytes()
    ious = [shared / joined if joined else 1.0 for shared, joined in tracks.values()]
    return markdown(
        ["sentences", "lowest IoU", "mean IoU", "files with equal bytes"],
        [[str(len(ious)), f"{min(ious):.5f}", f"{np.mean(ious):.5f}",
          f"{same_files} of {len(names[0])}"]],
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
