"""Parts of fixed shape, recorded once as CUDA graphs and replayed: less launching, the same bits.

A frame of few objects is some 400 kernels that take less time than their launching. A graph
launches them all at once. It reads and writes the memory that it was recorded with, so what goes in
is copied there, and what comes out is copied away before anything else is replayed. No compiler is
needed, and the kernels are those that run otherwise.
"""

import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ParamSpec, Protocol, TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")
WANTED = ("off", "parts")  # what a recipe may name
MOST = 64  # recorded parts: eight a number of objects, so about eight numbers of objects
LETS_GO = "2.13.1"  # of torch: versions before it do not let go of the pool of a failed recording


class Record(Protocol):
    """How a run is recorded."""

    def __call__(self, run: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
        """Return what `run` returns, and what replays it into the same tensors."""


@dataclass
class _Recorded:
    """A part as it was recorded."""

    inputs: list[Tensor]
    result: Any  # its tensors are written by every replay
    replay: Callable[[], None]
    run: Callable[[], Any]  # keeps alive what the part reads beside its inputs


class FixedParts:
    """Runs functions of tensors, each shape for the second time from a recording.

    A function depends on its arguments and on weights that stay: tensors, frozen dataclasses of
    them, and plain values that belong to the shape. Without `record` everything runs as it is
    called.
    """

    def __init__(self, record: Record | None = None, why_not: str = "") -> None:
        self._record = record
        self._why_not = why_not
        self._seen: set[Hashable] = set()
        self._recorded: dict[Hashable, _Recorded] = {}
        self._is_paused = False

    @property
    def words(self) -> str:
        """How parts run, for the record of a run."""
        if self._record is not None:
            return "parts: CUDA graphs"
        return f"off: {self._why_not}" if self._why_not else "off"

    def run(
        self,
        function: Callable[Arguments, Result],
        /,
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        """Call a function, or replay its recording for arguments of these shapes."""
        if self._record is None or self._is_paused:
            return function(*arguments, **named)
        given = (arguments, named)
        key = (function, _shape_of(given))
        if (known := self._recorded.get(key)) is None:
            if key not in self._seen:  # many shapes come once: those are not worth a recording
                self._seen.add(key)
                return function(*arguments, **named)
            known = self._recorded_now(key, function, given)
            if known is None:
                return function(*arguments, **named)
        for place, value in zip(known.inputs, tensors_of(given), strict=True):
            place.copy_(value)
        known.replay()
        kept: Result = self._kept(known.result)
        return kept

    def _kept(self, result: Any) -> Any:
        """A copy: the next replay writes over a result, and callers hold it for many frames."""
        return _with_tensors(result, (value.clone() for value in tensors_of(result)))

    def _recorded_now(
        self, key: Hashable, function: Callable[..., Any], given: tuple[Any, Any]
    ) -> _Recorded | None:
        """Record a function; None, with a warning and for good, where that fails."""
        assert self._record is not None
        # With the strides of the original: kernels are chosen by them.
        inputs = [torch.empty_like(value).copy_(value) for value in tensors_of(given)]
        arguments, named = _with_tensors(given, iter(inputs))

        def run() -> Any:
            return function(*arguments, **named)

        # Never one alone: with the first graph that goes, torch 2.13 gives back the workspace of
        # cuBLAS that all graphs of a stream use (its issue 193402).
        if len(self._recorded) >= MOST:
            self._recorded.clear()
        try:
            result, replay = self._record(run)
        except RuntimeError as error:
            self.stop(f"{getattr(function, '__name__', function)}: {_first_line(error)}")
            warnings.warn(
                f"parts of fixed shape run as they are called from here on: {self._why_not}",
                stacklevel=2,
            )
            return None
        self._recorded[key] = known = _Recorded(inputs, result, replay, run)
        return known

    def forget(self) -> None:
        """Let go of all recordings and their memory; shapes are recorded again when they come."""
        self._recorded.clear()
        self._seen.clear()

    def stop(self, why: str) -> None:
        """Record nothing from here on, and forget what was."""
        self._record, self._why_not = None, why
        self.forget()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Run everything as it is called meanwhile, for those who look at single modules."""
        before, self._is_paused = self._is_paused, True
        try:
            yield
        finally:
            self._is_paused = before


EAGER = FixedParts()


def fixed_parts(wanted: str, device: torch.device) -> FixedParts:
    """Return how parts run on a device: recorded where that is `wanted` ("parts") and possible."""
    if wanted == "off":
        return EAGER
    if device.type != "cuda":
        return FixedParts(why_not=f"CUDA graphs need a GPU, and the device is {device.type}")
    return FixedParts(CudaGraphs(device))


class CudaGraphs:
    """Records runs as CUDA graphs; all of them share one pool of memory.

    That is safe in whatever order they are replayed, because results are copied away at once and
    inputs lie outside the pool: what is left in it between two replays, nobody reads. Two at a time
    would not be: work on a second stream is joined before anything else is replayed.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, run: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            run()  # what libraries make at first use on a stream is made outside the graph
        graph, random = torch.cuda.CUDAGraph(), torch.cuda.default_generators[self._index]
        before, begun = random.clone_state(), False
        # Other threads decode frames meanwhile; what they do with the driver is not recorded. A
        # recording that fails leaves its stream the current one, so this one is put back.
        try:
            with (
                torch.cuda.stream(torch.cuda.current_stream(self.device)),
                torch.cuda.graph(
                    graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
                ),
            ):
                begun = True
                result = run()
        except RuntimeError:
            random.graphsafe_set_state(before)  # or it would wait for the recording to end
            if begun:
                self._let_go_of(graph)
            raise
        return result, graph.replay

    def _let_go_of(self, graph: torch.cuda.CUDAGraph) -> None:
        """Tell the allocator that a recording has ended which torch could not end."""
        with suppress(RuntimeError):
            graph.pool()  # it was ended: the failure was another, and the graph does what follows
            return
        # Before pull request 180395 it waits for the end: what a second stream had would never be
        # free again, and nothing that is cached be given back.
        with suppress(RuntimeError):
            torch._C._cuda_endAllocateToPool(self._index, self._pool)
        # Before 190348 the pool of all recordings would count one that uses it for good, and none
        # of its memory be given back. Counted down twice, torch would end the process.
        if torch.__version__ < LETS_GO:
            torch._C._cuda_releasePool(self._index, self._pool)

    @property
    def _index(self) -> int:
        """Which GPU it is."""
        return torch.cuda.current_device() if self.device.index is None else self.device.index


def tensors_of(value: Any) -> Iterator[Tensor]:
    """The tensors in a value, in a fixed order."""
    if isinstance(value, Tensor):
        yield value
    else:
        for part in _parts(value):
            yield from tensors_of(part)


def _with_tensors(value: Any, tensors: Iterator[Tensor]) -> Any:
    """The same value with other tensors, in the order of `tensors_of`."""
    if isinstance(value, Tensor):
        return next(tensors)
    parts = [_with_tensors(part, tensors) for part in _parts(value)]
    if isinstance(value, dict):
        return dict(zip(value, parts, strict=True))
    if isinstance(value, tuple | list):
        return type(value)(parts)
    return type(value)(*parts) if parts else value


def _parts(value: Any) -> Sequence[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, tuple | list):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in fields(value)]
    return ()


def _shape_of(value: Any) -> Hashable:
    """All that a recording depends on, but for the values in tensors."""
    if isinstance(value, Tensor):
        return (value.shape, value.stride(), value.dtype, value.device)
    if isinstance(value, dict):
        return tuple((name, _shape_of(part)) for name, part in value.items())
    if parts := _parts(value):
        return (type(value), *map(_shape_of, parts))
    return value  # type: ignore[no-any-return]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
