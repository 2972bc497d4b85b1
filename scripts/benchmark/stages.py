"""Seconds in each organ of the network, by hooks around its modules."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from submission.models.sa2va.model import Sa2VA
from submission.models.sam2.memory_attention import MemoryReader

Now = Callable[[], float]
MEMORY_ATTENTION = "memory attention"
REST = "rest"  # resizing, copies, masks, Python


def organs(model: Sa2VA) -> dict[nn.Module, str]:
    """The modules whose time is told, and the name of their stage."""
    network = model.network
    grounding = network.grounding
    return {
        network.vision: "vision encoder",
        network.language.model: "language model",
        grounding.image_encoder: "image encoder",
        grounding.tuned_decoder: "mask decoder",
        grounding.sam_mask_decoder: "mask decoder",
        grounding.memory_encoder: "memory encoder",
        grounding.memory_attention: MEMORY_ATTENTION,  # the plain loop calls the module
    }


class StageClock:
    """Adds up seconds per stage; a GPU is waited for at every border. Stages do not nest."""

    def __init__(self, device: torch.device, now: Now = time.perf_counter) -> None:
        self.device = device
        self.now = now
        self.seconds: dict[str, float] = defaultdict(float)
        self._started: list[tuple[str, float]] = []

    def begin(self, stage: str) -> None:
        """Enter a stage; inside another one it counts as a part of that."""
        self._started.append((stage, self._now()))

    def end(self) -> None:
        """Leave the stage that was entered last."""
        stage, started = self._started.pop()
        if not self._started:
            self.seconds[stage] += self._now() - started

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self.now()


@contextmanager
def timed_organs(
    model: Sa2VA, now: Now = time.perf_counter
) -> Iterator[dict[str, float]]:  # fmt: skip
    """Add up seconds per organ while the block runs, by the clock on the wall or another."""
    clock = StageClock(model.device, now)
    with ExitStack() as stack:
        for name, method in _public_methods(MemoryReader).items():
            stack.enter_context(patch.object(MemoryReader, name, _in_stage(method, clock)))
        for module, stage in organs(model).items():
            begin = module.register_forward_pre_hook(lambda *_, stage=stage: clock.begin(stage))
            end = module.register_forward_hook(lambda *_: clock.end())
            stack.callback(begin.remove)
            stack.callback(end.remove)
        yield clock.seconds


def _public_methods(kind: type) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(kind).items()
        if callable(value) and not name.startswith("_")
    }


def _in_stage(method: Any, clock: StageClock) -> Any:
    def timed(*arguments: Any, **named: Any) -> Any:
        clock.begin(MEMORY_ATTENTION)
        try:
            return method(*arguments, **named)
        finally:
            clock.end()

    return timed
