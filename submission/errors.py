"""The mistakes a user can make, as a small tree; each says what, where, and what to do next.

SubmissionError            everything the command line turns into one sentence
├── InputError             the call, recipe, data or checkpoint is wrong          exit status 2
│   └── FaultyInput        the same, with every fault found listed at once        exit status 2
├── StoreMismatch          finished work belongs to another recipe or checkpoint  exit status 2
└── FaultyResult           the work was done, but its result has faults           exit status 1
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

FAULTS_SHOWN = 50  # lines on the terminal; the complete list is kept in `faults`
_NUMBER = re.compile(r"\d+")
# How libraries say that a GPU's memory is used up where it is not torch's: the driver, cuBLAS and
# cuDNN for handles, kernels, workspaces and pinned host memory.
_SAID_OTHERWISE = re.compile(
    r"CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED"
    r"|CUDNN_STATUS_(ALLOC_FAILED|INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)"
)


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong, and the file, video or expression where it is."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class SubmissionError(Exception):
    """A mistake that the user can mend; `str(error)` is complete without a traceback."""

    exit_status: ClassVar[int] = 2


class InputError(SubmissionError):
    """The call, the recipe, the data or a checkpoint is wrong; nothing was started."""


class FaultyInput(InputError):
    """The input has faults; all of them are in `faults`, so that one run shows everything."""

    def __init__(self, summary: str, faults: Sequence[Fault], advice: str = "") -> None:
        self.faults = tuple(faults)
        super().__init__(list_faults(summary, faults, advice))


class StoreMismatch(InputError):
    """Predictions in the run folder were made with another recipe, checkpoint or model code."""


class FaultyResult(SubmissionError):
    """The work is finished and its result has faults."""

    exit_status = 1


def join_errors(errors: Sequence[InputError], summary: str) -> InputError:
    """Return one error that tells all of these; a single one stays as it is."""
    if len(errors) == 1:
        return errors[0]
    return FaultyInput(summary, [fault for error in errors for fault in faults_of(error)])


def faults_of(error: InputError) -> list[Fault]:
    """Return what an error tells, a fault for each thing that is wrong."""
    if isinstance(error, FaultyInput):
        return list(error.faults)
    where, colon, what = str(error).partition(": ")
    return [Fault(where, what) if colon else Fault("error", where)]


def list_faults(summary: str, faults: Sequence[Fault], advice: str = "") -> str:
    """Return a summary line, one line for each of the first faults, and what to do next.

    Where there are too many, some of each kind are told: none hides behind a hundred of another.
    """
    told = [f"  {line}" for line in _first_of_each(faults)]
    return "\n".join([summary, *told, *([advice] if advice else [])])


def _first_of_each(faults: Sequence[Fault]) -> Iterator[str]:
    if len(faults) <= FAULTS_SHOWN:
        yield from map(str, faults)
        return
    kinds: dict[str, list[Fault]] = {}  # alike but for numbers
    for fault in faults:
        kinds.setdefault(_NUMBER.sub("0", fault.what), []).append(fault)
    share = max(1, FAULTS_SHOWN // len(kinds))
    for alike in list(kinds.values())[:FAULTS_SHOWN]:
        yield from map(str, alike[:share])
        if more := len(alike[share:]):
            yield f"... and {more} more like this, up to {alike[-1].where}"
    if len(kinds) > FAULTS_SHOWN:
        yield f"... and {len(kinds) - FAULTS_SHOWN} more kinds of faults"


def lacks_gpu_memory(error: BaseException) -> bool:
    """Tell whether an error says that a GPU's memory is used up, in torch's words or others'."""
    if not isinstance(error, RuntimeError):
        return False
    return type(error).__name__ == "OutOfMemoryError" or bool(_SAID_OTHERWISE.search(str(error)))
