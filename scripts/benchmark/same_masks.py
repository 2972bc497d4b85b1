"""Masks of the small checkpoints on this GPU against those of the CPU, and of both procedures."""

import argparse
import sys
from collections.abc import Sequence

import torch

from scripts.benchmark.clips import sentences, synthetic_clip
from scripts.benchmark.procedures import Load, agreement, ours, public
from scripts.benchmark.sizes import CARRIED
from scripts.benchmark.tables import print_table
from submission.models.sa2va.loading import load


def main(words: Sequence[str] | None = None) -> int:
    """Print a table of checkpoints and ways; without a GPU, the CPU stands in for it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmark.same_masks")
    parser.add_argument("--rehearse", action="store_true", help="a few frames")
    frames = 8 if parser.parse_args(words).rehearse else 40
    device = "cuda" if torch.cuda.is_available() else "cpu"
    lines = (line for name in CARRIED for line in compare(name, device, frames))
    header = [
        "checkpoint, procedure",
        f"{device} against CPU float32",
        "lowest IoU",
        "equal pixels",
    ]
    print_table(header, lines)
    return 0


def compare(name: str, device: str, frames: int) -> list[list[str]]:
    """One line for each procedure and way of a checkpoint."""
    cpu = load(CARRIED[name], "cpu", "float32")
    exact, short = (load(CARRIED[name], device, dtype) for dtype in ("float32", "bfloat16"))
    lines = []
    for procedure in ("sa2va", "sa2va-i") if cpu.config.has_tuned_decoder else ("sa2va",):
        clip = Load(synthetic_clip(frames, 240, 320), sentences(4), 5, procedure)
        wanted = ours(cpu, clip)
        ways = {
            "ours, float32": ours(exact, clip), "public loop, float32": public(exact, clip),
            "ours, bfloat16": ours(short, clip),
        }  # fmt: skip
        for way, answers in ways.items():
            same = agreement(wanted, answers)
            lines.append([f"{name}, {procedure}", way, f"{same.lowest_iou:.5f}",
                          f"{same.equal_pixels:.6f}"])  # fmt: skip
    return lines


if __name__ == "__main__":
    sys.exit(main())
