"""Parts of fixed shape replayed: the same masks, whatever is held, whatever comes in between.

A stand-in for CUDA graphs keeps their rule on the CPU: a recording reads the tensors that it was
made with, and every replay writes into the same result.
"""

import contextlib
import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from models.cases import REFERENCE
from models.conftest import ANSWERS, SENTENCES
from torch.torch_version import TorchVersion

from submission.errors import InputError
from submission.models.sa2va.loading import load
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.settings import Settings
from submission.models.sam2 import fixed_parts as module
from submission.models.sam2.fixed_parts import FixedParts, fixed_parts, tensors_of
from submission.models.workload import Limits

UNIFORM = Settings(sampling="uniform", frames=3)


class StandIn:
    """Records by keeping the call: a replay makes it again and writes over the first result."""

    def __init__(self) -> None:
        self.replays = 0

    def __call__(self, run: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
        result = run()

        def replay() -> None:
            self.replays += 1
            for place, value in zip(tensors_of(result), tensors_of(run()), strict=True):
                place.copy_(value)

        return result, replay


def masks(model: Sa2VA, frames: np.ndarray, count: int = 3, settings: Settings = UNIFORM):
    found = model.segment(frames, SENTENCES[:count], settings, answers=ANSWERS[:count])
    return [np.asarray(answer.masks) for answer in found]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def with_parts(model: Sa2VA, parts: FixedParts, limits: Limits | None = None) -> Sa2VA:
    return Sa2VA(model.backbone, limits or model.limits, parts)


@pytest.mark.parametrize("procedure", ["sa2va", "sa2va-i"])
def test_replayed_parts_give_the_same_masks(sa2va, sa2va_i, frames, procedure):
    model = sa2va_i if procedure == "sa2va-i" else sa2va
    settings = Settings(sampling="uniform", frames=3, procedure=procedure)
    wanted = masks(model, frames, settings=settings)
    assert any(mask.any() for mask in wanted)
    recorder = StandIn()
    recorded = with_parts(model, FixedParts(recorder))
    for _ in range(2):
        assert same(masks(recorded, frames, settings=settings), wanted)
    assert recorder.replays > 50
    assert recorded.parts.words == "parts: CUDA graphs"


class Careless(FixedParts):
    """Hands out the recording's own result."""

    def _kept(self, result: Any) -> Any:
        return result


def test_without_a_copy_of_what_comes_out_masks_differ(sa2va, frames):
    wanted = masks(sa2va, frames)
    assert not same(masks(with_parts(sa2va, Careless(StandIn())), frames), wanted)


class Stale(StandIn):
    """A recording that does not see what comes in."""

    def __call__(self, run: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
        return run(), lambda: None


def test_without_a_copy_of_what_comes_in_masks_differ(sa2va, frames):
    wanted = masks(sa2va, frames)
    assert not same(masks(with_parts(sa2va, FixedParts(Stale())), frames), wanted)


def test_other_numbers_of_objects_and_images_have_recordings_of_their_own(sa2va, frames):
    recorder = StandIn()
    recorded = with_parts(sa2va, FixedParts(recorder), Limits(images_at_once=3))
    plain = with_parts(sa2va, FixedParts(), Limits(images_at_once=3))
    wanted = {count: masks(plain, frames, count) for count in (1, 2, 3)}
    for count in (3, 1, 2, 3, 1):
        assert same(masks(recorded, frames, count), wanted[count])
    assert recorder.replays > 100


def test_recordings_are_bounded_and_forgotten(sa2va, frames, monkeypatch):
    monkeypatch.setattr(module, "MOST", 4)
    recorded = with_parts(sa2va, FixedParts(StandIn()))
    wanted = masks(sa2va, frames)
    assert same(masks(recorded, frames), wanted)
    assert 0 < len(recorded.parts._recorded) <= 4
    recorded.parts.forget()
    assert len(recorded.parts._recorded) == 0
    assert same(masks(recorded, frames), wanted)


class OneWorkspace(StandIn):
    """Recordings that share memory, which is given back with the first of them that goes."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = 0

    def __call__(self, run: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
        result, replay = super().__call__(run)
        before = self.gone

        def replay_with_workspace() -> None:
            assert self.gone == before, "the workspace was given back"
            replay()

        weakref.finalize(replay_with_workspace, self._count)
        return result, replay_with_workspace

    def _count(self) -> None:
        self.gone += 1


def test_no_recording_goes_while_others_stay(sa2va, frames, monkeypatch):
    monkeypatch.setattr(module, "MOST", 4)
    recorder = OneWorkspace()
    recorded = with_parts(sa2va, FixedParts(recorder))
    assert same(masks(recorded, frames), masks(sa2va, frames))
    assert recorder.gone >= 4


def test_what_cannot_be_recorded_is_told_once_and_runs_as_called(sa2va, frames):
    def refuse(run):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    recorded = with_parts(sa2va, FixedParts(refuse))
    with pytest.warns(UserWarning, match=r"run as they are called .* not permitted when") as told:
        found = masks(recorded, frames)
    assert len(told) == 1
    assert same(found, masks(sa2va, frames))
    assert recorded.parts.words.startswith("off: ")


class Recording:
    """Stands where torch records a graph, and cannot end it."""

    def __init__(self, *_: Any, **named: Any) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        raise RuntimeError("operation failed due to a previous error during capture")


class Numbers:
    """Stands where a GPU has its generator of random numbers."""

    state = "free"

    def clone_state(self) -> str:
        before, self.state = self.state, "held by the recording"
        return before

    def graphsafe_set_state(self, state: str) -> None:
        self.state = state


class Graph:
    """A recording that torch could not end, or, after a failure of another kind, could."""

    ended = False

    def pool(self) -> tuple[int, int]:
        if not self.ended:
            raise RuntimeError("Called CUDAGraph::pool() without a preceding successful capture.")
        return (0, 7)


@pytest.mark.parametrize(
    ("version", "failure", "told"),
    [
        ("2.11.0", "of the recording", ["has ended", "is let go"]),
        ("2.13.0+cu130", "of the recording", ["is let go"]),  # that it has ended, torch has told
        ("2.14.0", "of the recording", []),
        ("2.11.0", "of another kind", []),
        ("2.11.0", "before it began", []),
    ],
)
def test_a_recording_that_fails_leaves_neither_random_numbers_nor_memory_waiting(
    monkeypatch, version, failure, told
):
    said, numbers = [], Numbers()

    def end(index: int, pool: object) -> None:
        if version >= "2.13":
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        said.append(("has ended", index, pool))

    def begin(self: Recording) -> None:
        if failure == "before it began":
            raise RuntimeError("previous error during capture")

    stream = type("Stream", (), {"wait_stream": lambda *_: None})
    for name, value in {
        "Stream": lambda _: stream(), "graph_pool_handle": lambda: (0, 7), "graph": Recording,
        "current_stream": lambda _: stream(), "stream": lambda _: contextlib.nullcontext(),
        "CUDAGraph": Graph, "default_generators": [None, numbers],
    }.items():  # fmt: skip
        monkeypatch.setattr(f"torch.cuda.{name}", value)
    monkeypatch.setattr(Recording, "__enter__", begin)
    monkeypatch.setattr(Graph, "ended", failure == "of another kind")
    monkeypatch.setattr("torch._C._cuda_endAllocateToPool", end)
    monkeypatch.setattr(
        "torch._C._cuda_releasePool", lambda *where: said.append(("is let go", *where))
    )
    monkeypatch.setattr(torch, "__version__", TorchVersion(version))
    with pytest.raises(RuntimeError, match="previous error during capture"):
        module.CudaGraphs(torch.device("cuda:1"))(lambda: None)
    assert numbers.state == "free"
    assert said == [(words, 1, (0, 7)) for words in told]


def test_a_module_that_overflows_is_named_although_parts_are_replayed(frames):
    model = load(REFERENCE / "models" / "tiny_qwen2")
    recorded = with_parts(model, FixedParts(StandIn()))
    masks(recorded, frames)
    model.network.grounding.memory_encoder.out_proj.bias.data.fill_(torch.nan)
    with pytest.raises(InputError, match=r"output of grounding\.memory_encoder\.out_proj"):
        masks(recorded, frames)


def test_a_model_that_is_dropped_frees_its_memory_at_once(frames):
    recorded = with_parts(load(REFERENCE / "models" / "tiny_qwen2"), FixedParts(StandIn()))
    masks(recorded, frames)
    network = weakref.ref(recorded.network)
    gc.disable()
    try:
        del recorded
        assert network() is None
    finally:
        gc.enable()


def test_where_it_cannot_be_it_says_why(sa2va):
    parts = fixed_parts("parts", torch.device("cpu"))
    assert parts.words == "off: CUDA graphs need a GPU, and the device is cpu"
    assert fixed_parts("off", torch.device("cpu")).words == "off"
    with pytest.raises(InputError, match="compile is 'all'; known: off, parts"):
        load(REFERENCE / "models" / "tiny_qwen2", compile="all")
