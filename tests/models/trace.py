"""Repeat a recorded run and note what leaves every organ on the way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from unittest.mock import patch

import torch
from models.cases import Case
from torch import Tensor, nn

from submission.models.sa2va.answer import Answer


@dataclass
class Trace:
    """The outputs of one run, in the order in which they came."""

    pixels: list[Tensor] = field(default_factory=list)  # (M, 3, S, S)
    patches: list[Tensor] = field(default_factory=list)  # (M, 1 + G*G, d)
    visual_tokens: list[Tensor] = field(default_factory=list)  # (M, P, C)
    states: list[Tensor] = field(default_factory=list)  # (n, C) each, prompt first
    logits: list[Tensor] = field(default_factory=list)  # (sentences, V) each
    seg_states: list[Tensor] = field(default_factory=list)  # (k, C)
    language: list[Tensor] = field(default_factory=list)  # (k, C of SAM 2)
    low_res: dict[int, Tensor] = field(default_factory=dict)  # time -> (k, 1, 4S, 4S)
    shown: dict[int, Tensor] = field(default_factory=dict)  # time -> (k, 1, H, W)
    answer: Answer | None = None


@cache
def trace(case: Case) -> Trace:
    """Run a case as it was recorded, every [SEG] of its answer at once."""
    seen = Trace()
    model = case.model
    network = model.network
    times = iter([*case.prompted_frames, *sorted(set(range(10_000)) - set(case.prompted_frames))])
    upsample = model.upsample

    def note_upsampled(logits: Tensor, size: tuple[int, int]) -> Tensor:
        time = next(times)
        seen.low_res[time] = logits
        seen.shown[time] = upsample(logits, size)
        return seen.shown[time]

    def note_vision(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        seen.pixels.append(inputs[0])
        seen.visual_tokens.append(output)

    def note_seg(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        seen.seg_states.append(inputs[0])
        seen.language.append(output)

    hooks = {
        network.vision: note_vision,
        network.vision.encoder: lambda *call: seen.patches.append(call[-1].last_hidden_state),
        network.language.model: lambda *call: seen.states.append(call[-1].last_hidden_state[0]),
        network.language.lm_head: lambda *call: seen.logits.append(call[-1]),
        network.seg_projector: note_seg,
    }
    with hooked(hooks), patch.object(model, "upsample", note_upsampled):
        seen.answer = model.segment(
            case.frames, [case.sentence], replace(case.settings, seg="union"),
            answers=[case.record["forced_answer"]],
        )[0]  # fmt: skip
    return seen


@contextmanager
def hooked(hooks: dict[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Call each function after its module, with (module, inputs, output), while the block runs.

    The functions return None: anything else would take the place of the output.
    """
    handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def joined(parts: list[Tensor], like: Tensor) -> Tensor:
    """Concatenate along the first axis; with nothing noted, an empty tensor of `like`'s shape."""
    return torch.cat(parts) if parts else like[:0]
