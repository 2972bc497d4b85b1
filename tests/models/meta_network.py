"""The real network without values, and what is alive or computed while it runs."""

import gc
import json
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from submission.models.checkpoint import move_tables
from submission.models.sa2va.internvl.config import parse_config
from submission.models.sa2va.network import Network, lay_out
from submission.recipe import PACKAGED

META = torch.device("meta")
SMALL = json.loads((PACKAGED.parent / "samples/small-5/config.json").read_text())


def without_values(config: dict[str, Any]) -> Network:
    """Lay out a network in bfloat16 on the meta device: shapes are true, nothing is computed."""
    # Dynamic scaling looks at positions, which have no values here; it is idle in short prompts.
    values = {**config, "llm_config": {**config["llm_config"], "rope_scaling": None}}
    network = lay_out(parse_config(values, has_tuned_decoder=True))
    for parameter in network.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    move_tables(network, META)
    return network


def empty(*shape: int) -> Tensor:
    return torch.empty(shape, device=META, dtype=torch.bfloat16)


class LiveTensors(TorchDispatchMode):
    """Bytes of tensors that are alive, of those made while the mode is on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {key for tensor in _tensors((args, kwargs)) if (key := _key(tensor))}
        made = func(*args, **(kwargs or {}))
        for tensor in _tensors(made):
            if _key(tensor) not in given and _key(tensor) not in self._sizes:
                self._watch(tensor.untyped_storage())
        return made

    def _watch(self, storage: torch.UntypedStorage) -> None:
        self._sizes[storage._cdata] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, storage._cdata)

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


@contextmanager
def scores_on_the_chip() -> Iterator[None]:
    """Let attention take no memory but its result, as the fused kernels of a GPU do."""

    def attend(query: Tensor, key: Tensor, value: Tensor, *more: Any, **named: Any) -> Tensor:
        return query.new_empty(*query.shape[:-1], value.shape[-1])

    with patch("torch.nn.functional.scaled_dot_product_attention", attend):
        yield


def live_bytes(work: Callable[[], Any]) -> tuple[int, int]:
    """Bytes at the peak of `work`, and bytes still held after it; its result is held, too."""
    with torch.inference_mode(), scores_on_the_chip(), LiveTensors() as live:
        result = work()
        gc.collect()
        held = live.now
    del result
    return live.peak, held
