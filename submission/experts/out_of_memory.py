"""Where a GPU runs out of memory: what was under way is let go, and done again with less."""

from collections.abc import Callable
from typing import TypeVar

from submission.errors import lacks_gpu_memory
from submission.terminal.progress import Reporter

Result = TypeVar("Result")


def with_less(
    attempt: Callable[[], Result], less: Callable[[], str], release: Callable[[], object],
    video: str, reporter: Reporter,
) -> Result:  # fmt: skip
    """Return what `attempt` gives; it is called again, with less, each time memory is short.

    `less` settles what goes through at once from there on and says it in words, or raises
    InputError where that is one of everything already; `release` drops what can be made again.
    """
    import torch

    while True:
        try:
            return attempt()
        except RuntimeError as error:
            if not lacks_gpu_memory(error):
                raise
            words = less()
        # Outside the handler: the error holds on to tensors.
        reporter.warn(f"video {video}: out of GPU memory, going on with {words}")
        release()
        torch.cuda.empty_cache()
