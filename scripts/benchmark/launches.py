"""How much is launched for a tracked frame, as it is called and with parts of fixed shape recorded.

    python -m scripts.benchmark.launches --size Sa2VA-8B --objects 1,16

Counted over the real network at its true shapes, without values: kernels that are started one by
one, and graphs that are replayed, each of which is one launch. Where launching takes longer than
what is launched, a frame takes as long as its launches. Image features and drawing are left out.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from scripts.benchmark.sizes import NAMES, config_values
from scripts.benchmark.tables import print_table
from submission.models.counting import count, empty, without_values
from submission.models.meta import parameters_on_meta
from submission.models.sam2.fixed_parts import FixedParts
from submission.models.sam2.memory_attention import MemoryReader
from submission.models.sam2.network import GroundingNetwork
from submission.models.sam2.policy import TrackerPolicy
from submission.models.sam2.sizes import read_grounding
from submission.models.sam2.tracker import Tracker

PROMPTED, TRACKED = 5, 8  # frames before the one that is counted: memory is full by then
SIZE = (720, 1280)


class Replays:
    """Stands where graphs are recorded: a replay launches nothing but itself."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, run: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
        return run(), self._replay

    def _replay(self) -> None:
        self.count += 1


def main(words: Sequence[str] | None = None) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.benchmark.launches", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--size", choices=NAMES, default="Sa2VA-8B")
    parser.add_argument("--objects", default="1,16", metavar="B,B,...")
    arguments = parser.parse_args(words)
    network = _network(arguments.size)
    lines = (
        [str(objects), str(_launches(network, objects, None)),
         f"{kernels} and {graphs} graphs"]
        for objects in map(int, arguments.objects.split(","))
        for kernels, graphs in [_launches(network, objects, Replays())]
    )  # fmt: skip
    print_table(["objects", "kernels a frame, as called", "with parts recorded"], lines)
    return 0


def _network(size: str) -> GroundingNetwork:
    with parameters_on_meta():
        network = GroundingNetwork(read_grounding(config_values(size)), has_tuned_decoder=False)
    return without_values(network.eval().requires_grad_(False))


def _launches(network: GroundingNetwork, objects: int, replays: Replays | None) -> Any:
    """Kernels started for one tracked frame; and graphs, where parts are recorded."""
    parts = FixedParts(replays)
    side, config = network.config.image_size, network.config
    reader = MemoryReader(network)
    tracker = Tracker(
        network, TrackerPolicy(), frame_size=SIZE, make_reader=lambda _: reader, parts=parts
    )
    with torch.inference_mode():
        features = network.encode_images(empty(1, 3, side, side))[0]
        for time in range(PROMPTED):
            tracker.prompt(time, features, empty(objects, config.hidden_size))
        for time in range(PROMPTED, PROMPTED + TRACKED):
            tracker.track(time, features)
    before = replays.count if replays else 0

    kernels = round(count(lambda: tracker.track(PROMPTED + TRACKED, features)).calls)
    return (kernels, replays.count - before) if replays else kernels


if __name__ == "__main__":
    sys.exit(main())
