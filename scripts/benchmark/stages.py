"""Seconds in each organ of the network, by hooks around its modules."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from submission.model import Sa2VA
from submission.model.memory_attention import MemoryReader


def organs(model: Sa2VA) -> dict[str, nn.Module]:
    """The modules whose time is told, by the name of the stage."""
    network = model.network
    return {
        "vision encoder": network.vision,
        "language model": network.language.model,
        "image encoder": network.grounding.image_encoder,
        "mask decoder": network.grounding.sam_mask_decoder,
        "tuned mask decoder": network.grounding.sam_mask_decoder_modified,
        "memory encoder": network.grounding.memory_encoder,
    }


def _timed(method: Any, seconds: dict[str, float], now: Any) -> Any:
    def timed(*arguments: Any) -> Any:
        begun = now()
        result = method(*arguments)
        seconds["memory attention"] += now() - begun
        return result

    return timed


@contextmanager
def timed_organs(model: Sa2VA) -> Iterator[dict[str, float]]:
    """Add up seconds per organ while the block runs; a GPU is waited for at every border."""
    seconds: dict[str, float] = defaultdict(float)
    started: dict[str, float] = {}

    def now() -> float:
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        return time.perf_counter()

    def begin(name: str) -> Any:
        return lambda *call: started.update({name: now()})

    def end(name: str) -> Any:
        def add(*call: Any) -> None:
            seconds[name] += now() - started[name]

        return add

    handles = []
    whole = {name: getattr(MemoryReader, name) for name in ("project", "read")}
    for name, method in whole.items():
        setattr(MemoryReader, name, _timed(method, seconds, now))
    for name, module in organs(model).items():
        handles.append(module.register_forward_pre_hook(begin(name)))
        handles.append(module.register_forward_hook(end(name)))
    try:
        yield seconds
    finally:
        for name, method in whole.items():
            setattr(MemoryReader, name, method)
        for handle in handles:
            handle.remove()
