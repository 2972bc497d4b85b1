"""Known GPUs: speed, bandwidth and memory from the makers' data sheets, and what can be attained.

FLOP/s are dense, with float32 accumulation; bytes are decimal, as the sheets have them. Attainable
shares on Hopper were fitted to runs on one H200 (docs/performance.md); those of other GPUs are
assumed, with their source beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

# Attention as a share of the sheet's FLOP/s, of few objects and of a batch of wide heads. On an
# H200 FlashAttention-2 reaches 328 of 989 TFLOP/s in heads of width 256; cuDNN, which is taken for
# several objects, 577 with narrow values (docs/performance.md).
# On an A100 FlashAttention-2 reaches 50 to 73 % (Dao, arXiv 2307.08691); it takes wide values only,
# eight fifths of the products that are counted for a batch.
HOPPER, AMPERE = (0.33, 0.58), (0.55, 0.55 * 5 / 8)


@dataclass(frozen=True)
class Gpu:
    """What a data sheet says of one GPU."""

    name: str
    known_as: tuple[str, ...]  # words that are all in the name that the driver reports
    bfloat16: float  # FLOP/s of matrix products
    float32: float  # FLOP/s outside the tensor cores, which float32 does not use by default
    bandwidth: float  # bytes/s of its memory
    memory: float  # bytes
    attention: tuple[float, float]  # share of `bfloat16` that exact attention reaches; and wide
    source: str


# The order matters: the first whose words fit is taken.
GPUS = (
    Gpu("H200", ("H200",), 989e12, 67e12, 4.8e12, 141e9, HOPPER,
        "NVIDIA H200 data sheet, SXM"),
    Gpu("H100 PCIe", ("H100", "PCIe"), 756e12, 51e12, 2.0e12, 80e9, HOPPER,
        "NVIDIA H100 data sheet, PCIe"),
    Gpu("H100", ("H100",), 989e12, 67e12, 3.35e12, 80e9, HOPPER,
        "NVIDIA H100 data sheet, SXM"),
    Gpu("A100 40GB", ("A100", "40GB"), 312e12, 19.5e12, 1.555e12, 40e9, AMPERE,
        "NVIDIA A100 data sheet, 40 GB"),
    Gpu("A100", ("A100",), 312e12, 19.5e12, 2.039e12, 80e9, AMPERE,
        "NVIDIA A100 data sheet, 80 GB SXM"),
    Gpu("L40S", ("L40S",), 362e12, 91.6e12, 0.864e12, 48e9, AMPERE,
        "NVIDIA L40S data sheet"),
    Gpu("RTX 4090", ("RTX 4090",), 165.2e12, 82.6e12, 1.008e12, 24e9, AMPERE,
        "NVIDIA Ada GPU architecture whitepaper, appendix A"),
    Gpu("RTX 3090", ("RTX 3090",), 71e12, 35.6e12, 0.936e12, 24e9, AMPERE,
        "NVIDIA Ampere GA102 GPU architecture whitepaper, appendix A"),
)  # fmt: skip
SHOWN = ("H200", "H100", "A100", "RTX 4090")  # in tables, where no GPU is at hand

BANDWIDTH_SHARE = 0.75  # of the sheet's bandwidth, for long reads and writes; assumed
LAUNCH = 18e-6  # seconds from one kernel to the next in eager PyTorch, with its Python; fitted

# Share of `bfloat16` or `float32` for matrix products, by how large they are; fitted. SAM 2's are
# narrow: widths from 144 to 1152, windows of 64 to 256 tokens.
NARROW = 0.4
SHARES: Mapping[str, float] = {
    "vision encoder": 0.65, "language prefix": 0.75, "language answers": 0.75,
}  # fmt: skip


def find_gpu(name: str) -> Gpu | None:
    """Return the GPU that a driver's name means, None for one that is not in the table."""
    for gpu in GPUS:
        if all(word.lower() in name.lower() for word in gpu.known_as):
            return gpu
    return None
