"""UNINEXT with random weights at its released sizes: seconds a frame, and what sharing it saves.

    python -m scripts.benchmark.uninext --sizes UNINEXT-R50 UNINEXT-ConvNeXt-L UNINEXT-ViT-H

One frame; the sentences of a video look at it together, or each encodes it for itself as the public
code does. Seconds are of the process's CPU time on a CPU, so that other work on the machine does
not count. What the masks say means nothing; how long they take does not depend on values.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from scripts.benchmark.tables import print_table
from submission.models.checkpoint import move_tables, place
from submission.models.uninext.config import FRAME_SIZE, UninextConfig
from submission.models.uninext.loading import SENTENCES_AT_ONCE
from submission.models.uninext.model import Uninext
from submission.models.uninext.network import lay_out_network
from submission.models.uninext.released import RELEASED

WORDS = 12  # tokens of a sentence
HEADER = ("weights", "parameters", "image, s", "one sentence, s", "together", "s a sentence",
          "each alone, s", "shared, s", "factor")  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmark.uninext")
    parser.add_argument("--sizes", nargs="+", choices=tuple(RELEASED), default=tuple(RELEASED))
    parser.add_argument("--sentences", type=int, default=16)
    parser.add_argument("--pixels", type=int, nargs=2, default=(720, 1280), metavar=("H", "W"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args(words)
    torch.set_num_threads(asked.threads)
    device = torch.device(asked.device)
    lines = (
        line(name, random_model(RELEASED[name], device), tuple(asked.pixels), asked.sentences)
        for name in asked.sizes
    )
    print_table(HEADER, lines)
    return 0


def random_model(config: UninextConfig, device: torch.device) -> Uninext:
    """A network that is fast and slow as the real one, in float32."""
    torch.manual_seed(0)
    network = lay_out_network(config)
    for name, value in list(network.named_parameters()):
        one_row = value.ndim < 2
        filled = torch.empty(value.shape, device=device)
        filled.fill_(0.5) if one_row else filled.normal_(0, value[0].numel() ** -0.5)
        place(network, name, filled, torch.float32)
    move_tables(network, device)
    # No tokenizer: sentences come as token ids.
    return Uninext(network, None, device, SENTENCES_AT_ONCE[device.type])  # type: ignore[arg-type]


def line(name: str, model: Uninext, size: tuple[int, int], sentences: int) -> list[str]:
    """Time one size."""
    image = FRAME_SIZE(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    features = model.encode_image(image)
    at_once = model.sentences_at_once
    one, some = (model.read_ids([list(range(1, WORDS + 1))] * count) for count in (1, at_once))
    encode = seconds(model, lambda: model.encode_image(image))
    alone = seconds(model, lambda: model.detect(features, one, size))
    each = seconds(model, lambda: model.detect(features, some, size)) / at_once
    apart, shared = sentences * (encode + alone), encode + sentences * each
    parameters = sum(value.numel() for value in model.network.parameters())
    return [
        name, f"{parameters / 1e6:,.0f} M", f"{encode:.2f}", f"{alone:.2f}", str(at_once),
        f"{each:.2f}", f"{apart:.1f}", f"{shared:.1f}", f"{apart / shared:.2f}",
    ]  # fmt: skip


def seconds(model: Uninext, call: Callable[[], object]) -> float:
    """How long a call takes that has been made before."""
    on_cpu = model.device.type == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    started = clock()
    call()
    if not on_cpu:
        torch.cuda.synchronize(model.device)
    return clock() - started


if __name__ == "__main__":
    raise SystemExit(main())
