"""Which of several kernels of memory attention is quickest on a GPU: timed once, then remembered.

Only where no measurement is at hand already. What is remembered are the times, in the user's cache,
by GPU, versions, precision and sizes; all that is made of them is a pure function of them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path

import torch
from torch import Tensor

from submission.errors import lacks_gpu_memory
from submission.files.user_cache import cache_folder, keep, one_at_a_time, read_memory
from submission.models.sam2.attention import AttentionKernel, Kernels, for_any_number
from submission.models.sam2.sizes import GroundingConfig

MEMORY = "kernels.json"  # in the user's cache
OBJECTS = (1, 2, 4, 8)  # side by side; about half a gigabyte of keys and values in bfloat16
MAPS, POINTERS = 11, 64  # of 5 key frames and 6 frames before; tokens of 16 object pointers
# How much quicker a kernel must be than one that is named before it: two machines of one kind, and
# one machine on two days, are to choose alike, and a plan of cuDNN is to be worth its time.
LEAD = 1.2
WARM_UP, ROUNDS = 2, 5

Times = Mapping[int, Mapping[str, float]]  # seconds by number of objects and kernel


def choose_by_time(
    kernels: Sequence[AttentionKernel], like: Tensor, sizes: GroundingConfig
) -> Kernels:
    """Choose the quickest of `kernels` for keys like `like` (..., C), for few objects and for many.

    A single kernel is taken as it is. So is the first one where nothing can be timed, because the
    GPU's memory is full; that is not remembered, nor is what could be timed in part.
    """
    if len(kernels) == 1:
        return for_any_number(kernels[0])
    named = {one.name: one for one in kernels}
    order = list(named)
    file, key = cache_folder() / MEMORY, f"{_describe(like, sizes)}: {', '.join(order)}"
    times = _recall(file, key, order)
    if not times:
        # Two workers on one GPU would disturb each other: all follow the first.
        with one_at_a_time(file):
            times = _recall(file, key, order)
            if not times:
                times = time_kernels(kernels, like, sizes)
                if len(times) == len(OBJECTS):  # else a full GPU would decide for an empty one
                    keep(file, {key: times})
        if not times:
            return for_any_number(kernels[0])
    few, many, many_from = pick(times, order)
    return Kernels(named[few], named[many], many_from)


def pick(times: Times, order: Sequence[str]) -> tuple[str, str, int]:
    """Name the kernel for few objects, that for many, and the number from which it is taken.

    Both are the same where one serves all. `order` says which is taken of equals.
    """
    counts = sorted(times)
    few, many = (_quickest(times[count], order) for count in (counts[0], counts[-1]))
    many_from = 0
    for count in reversed(counts):
        if LEAD * times[count][many] > times[count][few]:
            break
        many_from = count
    return (few, many, many_from) if many_from else (few, few, 1)


def _quickest(seconds: Mapping[str, float], order: Sequence[str]) -> str:
    """The first in order that no other leads by LEAD."""
    enough = LEAD * min(seconds.values())
    return next(name for name in order if seconds.get(name, inf) <= enough)


@torch.inference_mode()
def time_kernels(kernels: Sequence[AttentionKernel], like: Tensor, sizes: GroundingConfig) -> Times:
    """Time each kernel at a memory of true length, by number of objects.

    A kernel that refuses one of the sizes is left out, and so are numbers of objects for which the
    GPU has no room.
    """
    times: dict[int, dict[str, float]] = {}
    for objects in OBJECTS:
        try:
            times[objects] = {one.name: _seconds(one, objects, like, sizes) for one in kernels}
        except RuntimeError as error:
            if not lacks_gpu_memory(error):
                raise
            break
    willing = {
        one.name for one in kernels if all(found[one.name] < inf for found in times.values())
    }
    if not willing:
        return {}
    return {count: {name: found[name] for name in willing} for count, found in times.items()}


def _seconds(kernel: AttentionKernel, objects: int, like: Tensor, sizes: GroundingConfig) -> float:
    """Seconds of one look at memory, the least of some; infinite where the kernel refuses."""
    random = torch.Generator(like.device).manual_seed(0)
    tokens, width = MAPS * sizes.places + POINTERS, like.shape[-1]
    shapes = (
        (sizes.places, width), (tokens, width),
        (tokens, sizes.memory_size if kernel.is_narrow else width),
    )  # fmt: skip
    queries, keys, values = (
        torch.randn(objects, *one, generator=random, device=like.device, dtype=like.dtype)
        for one in shapes
    )

    def look() -> None:
        kernel.attend(queries, keys, values)

    try:
        return min(_clock(look, like.device) for _ in range(WARM_UP + ROUNDS))
    except RuntimeError as error:
        if lacks_gpu_memory(error):  # the driver's, too, which loads a kernel when it is first run
            raise
        return inf


def _clock(call: Callable[[], None], device: torch.device) -> float:
    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    start = now()
    call()
    return now() - start


def _describe(like: Tensor, sizes: GroundingConfig) -> str:
    """Everything that the times of kernels hang on."""
    gpu = torch.cuda.get_device_name(like.device) if like.device.type == "cuda" else "CPU"
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return (
        f"{gpu}, torch {torch.__version__}, cuDNN {cudnn}, {like.dtype}, "
        f"width {like.shape[-1]}, values {sizes.memory_size}, maps of {sizes.places}"
    )


def _recall(file: Path, key: str, names: Sequence[str]) -> Times:
    """The times of a file; none where there are none, or they are not what was written."""
    try:
        times = {
            int(count): {str(name): float(seconds) for name, seconds in one.items()}
            for count, one in read_memory(file)[key].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}
    right = all(
        one and one.keys() <= set(names) and all(0 < seconds < inf for seconds in one.values())
        for one in times.values()
    )
    return times if right else {}
