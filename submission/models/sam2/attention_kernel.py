"""Which exact kernel the attention over memory runs on: chosen once, and told.

All of them compute the same attention and differ in speed and in last bits. "Narrow" kernels take
values as narrow as a memory map, a quarter of a key's width: the projection of values is linear and
the weights of a softmax sum to one, so it can as well follow the attention.
"""

import warnings
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend

from submission.errors import InputError, lacks_gpu_memory
from submission.models.sam2.attention import (
    Attend,
    AttentionKernel,
    Kernels,
    attend_fused,
    attend_in_blocks,
    attend_in_two,
    for_any_number,
    only,
    sum_by_cudnn,
    sum_by_efficient,
)
from submission.models.sam2.kernel_timing import choose_by_time
from submission.models.sam2.sizes import GroundingConfig

# Where two are as quick, the first is taken.
ON_A_GPU = (
    ("flash", SDPBackend.FLASH_ATTENTION),
    ("cuDNN", SDPBackend.CUDNN_ATTENTION),
    ("memory-efficient", SDPBackend.EFFICIENT_ATTENTION),
)
# On an H200 with 45,120 keys of width 256, cuDNN takes 4.4 ms for 16 objects, 3.2 with narrow
# values, where flash takes 9.4; and 1.07 ms for one object where flash takes 0.64: flash splits the
# keys of few objects over the whole GPU. cuDNN plans once, 40 to 75 ms, for each pair of objects
# and length of memory, of which a run meets hundreds; so it is shown whole maps, of which there are
# M to M + 6, and object pointers, whose number changes with every frame, are attended to apart.
# So much for a Hopper; on another GPU the kernels are timed (kernel_timing.py).
HOPPER = 9  # major compute capability
CUDNN_FROM = 4  # objects
# Kernels that plan nothing. torch takes cuDNN's first on Hopper and Blackwell, whose plans are for
# one shape: in a language model each token makes a new one, in the mask decoder each number of
# objects makes several.
UNPLANNED = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
LARGEST_ERROR = 2e-2  # relative; bfloat16 makes 2e-3
WANTED = ("auto", "flash", "cudnn", "fa3")  # what a recipe may name
# FlashAttention-3 comes in packages of its own, under two names; both have `flash_attn_func`.
FA3_MODULES = ("flash_attn_interface", "fa3_fwd_interface")


def choose_kernels(like: Tensor, sizes: GroundingConfig, wanted: str = "auto") -> Kernels:
    """Choose the kernels for keys of the width, precision and device of `like` (..., C).

    `sizes` says how many tokens a map has, and how wide a value is before its projection. Warns
    when a GPU is left with none but the slow "math". Raises InputError when a kernel is `wanted`
    that torch has not for such keys there.
    """
    on_gpu = like.device.type == "cuda"
    if wanted == "auto" and not on_gpu:
        return _off_gpu(like)
    if wanted == "fa3":
        attend = _flash_attention_3(like)
        return for_any_number(AttentionKernel("FlashAttention-3", False, attend, attend))
    usable = _usable_on_gpu(like) if on_gpu else set()
    names = [name for name, backend in ON_A_GPU if backend in usable]
    taken = {name: _on_gpu(name, like, sizes) for name in names if wanted in ("auto", name.lower())}
    if {"flash", "cuDNN"} <= set(taken) and _is_hopper(like):  # so "auto" is wanted
        return Kernels(taken["flash"], taken["cuDNN"], CUDNN_FROM)
    if taken:
        return choose_by_time(list(taken.values()), like, sizes)
    place = torch.cuda.get_device_name(like.device) if on_gpu else f"a {like.device.type.upper()}"
    if wanted != "auto":
        raise InputError(
            f'attention = "{wanted}": torch {torch.__version__} has no such kernel for '
            f"{like.dtype} keys of width {like.shape[-1]} on {place}; known: {', '.join(WANTED)}; "
            'take "auto"'
        )
    other = "bfloat16" if like.dtype == torch.float32 else "float32"
    warnings.warn(
        f"memory attention runs on the slow kernel 'math': for {like.dtype} keys of width "
        f"{like.shape[-1]} on {place} torch {torch.__version__} "
        f'has no other; take dtype = "{other}", which may have one',
        stacklevel=2,
    )
    attend = only(SDPBackend.MATH)
    return for_any_number(AttentionKernel("math", False, attend, attend))


def _on_gpu(name: str, like: Tensor, sizes: GroundingConfig) -> AttentionKernel:
    """One of torch's fused kernels, with narrow values where it takes them."""
    attend = only(dict(ON_A_GPU)[name])
    narrow: Attend = attend
    if name == "cuDNN":
        narrow = partial(
            attend_in_two, cells=sizes.places, maps=sum_by_cudnn, others=sum_by_efficient
        )
    if name != "flash" and _is_right(narrow, like, sizes):
        return AttentionKernel(f"{name} with narrow values", True, narrow, attend)
    return AttentionKernel(name, False, attend, attend)


@torch.no_grad()
def _is_right(attend: Attend, like: Tensor, sizes: GroundingConfig) -> bool:
    """Whether torch has what a kernel calls and it computes attention: tried on a map and a bit."""
    device, tokens = like.device, sizes.places + 8
    random = torch.Generator(device).manual_seed(0)
    queries, keys, values = (
        torch.randn(2, count, width, generator=random, device=device)
        for count, width in (
            (64, like.shape[-1]), (tokens, like.shape[-1]), (tokens, sizes.memory_size)
        )
    )  # fmt: skip
    exact = (queries @ keys.mT / like.shape[-1] ** 0.5).softmax(-1) @ values
    try:
        found = attend(*(one.to(like.dtype) for one in (queries, keys, values)))
    except (AttributeError, RuntimeError, TypeError) as error:
        if lacks_gpu_memory(error):  # that says nothing of the kernel
            raise
        return False
    return bool((found - exact).norm() < LARGEST_ERROR * exact.norm())


def _is_hopper(like: Tensor) -> bool:
    on_gpu = like.device.type == "cuda"
    return on_gpu and torch.cuda.get_device_capability(like.device)[0] == HOPPER


def _flash_attention_3(like: Tensor) -> Attend:
    """Attention by a package for Hopper, which torch does not bring. Raises InputError."""
    name = next((name for name in FA3_MODULES if find_spec(name)), "")
    if not name or like.dtype == torch.float32 or not _is_hopper(like):
        lacks = "" if name else f"; no module {' or '.join(FA3_MODULES)} (pip install fa3-fwd)"
        raise InputError(
            f'attention = "fa3" needs a GPU of the Hopper kind and bfloat16, and these are '
            f'{like.dtype} keys on {like.device}{lacks}; take "auto"'
        )
    attend_heads = import_module(name).flash_attn_func

    def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        queries = queries.expand(len(keys), -1, -1)
        # (B, N, heads, C), one head; some versions return what the softmax summed to beside it.
        found = attend_heads(queries[:, :, None], keys[:, :, None], values[:, :, None])
        found = found[0] if isinstance(found, tuple) else found
        return found[:, :, 0]  # type: ignore[no-any-return]

    return attend


def _off_gpu(like: Tensor) -> Kernels:
    if like.device.type == "cpu" and like.dtype == torch.float32 and not torch.is_grad_enabled():
        # Blocks are written in place, which has no gradient; bfloat16 would round the scores.
        blocks = "blocks of float32 scores"
        return for_any_number(AttentionKernel(blocks, True, attend_in_blocks, attend_fused))
    wide = AttentionKernel("torch's own choice", False, attend_fused, attend_fused)
    if like.device.type != "meta":
        return for_any_number(wide)
    # Where work is counted it is that of the best GPU: the fewest products of exact attention.
    return Kernels(wide, AttentionKernel("narrow", True, attend_fused, attend_fused), CUDNN_FROM)


def _usable_on_gpu(like: Tensor) -> set[SDPBackend]:
    """The fused kernels that torch would take for such queries, keys and values."""
    sample = like.new_empty(1, 1, 64, like.shape[-1])
    asked = torch.backends.cuda.SDPAParams(sample, sample, sample, None, 0.0, False, False)
    cuda = torch.backends.cuda
    answers = {
        SDPBackend.FLASH_ATTENTION: cuda.can_use_flash_attention,
        SDPBackend.CUDNN_ATTENTION: cuda.can_use_cudnn_attention,
        SDPBackend.EFFICIENT_ATTENTION: cuda.can_use_efficient_attention,
    }
    with torch.cuda.device(like.device):  # they speak of the current GPU
        return {backend for backend, can_use in answers.items() if can_use(asked)}
