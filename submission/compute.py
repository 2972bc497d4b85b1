"""[compute] of a recipe: where a run computes, and how much goes through at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from submission.models.workload import Limits

Precision = Literal["bfloat16", "float32"]
VALUE_BYTES: Mapping[str, int] = {"bfloat16": 2, "float32": 4}
IMAGES_AT_ONCE = {"cpu": 4, "cuda": 8}  # on a CPU more gain nothing

Count = Annotated[int, Field(ge=1)]
Workers = Literal["auto"] | Annotated[int, Field(ge=0)]
Gigabytes = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Compute:
    """Changes speed and memory, and results only in last bits, but for `dtype`."""

    device: str = "auto"  # what it settles to: device.py
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    sentences_at_once: Count = Limits.sentences_at_once
    objects_at_once: Count = Limits.objects_at_once
    images_at_once: Annotated[int, Field(ge=0)] = 0  # 0: four on a CPU, eight on a GPU
    attention: Literal["auto", "flash", "cudnn", "fa3"] = (
        "auto"  # kernel of memory attention on a GPU
    )
    compile: Literal["off", "parts"] = "off"  # parts of fixed shape as CUDA graphs; for few objects
    share_features: Literal["auto", "off"] = "auto"  # by experts with an equal image encoder
    features_gb: Gigabytes = 8.0  # image features of one video that may be kept, on GPU or host
    frames_gb: Gigabytes = 2.0  # decoded frames that may wait in host memory
    workers: Workers = 0  # processes over Ray that answer videos; 0: this process, without Ray
    gpus_per_worker: Annotated[float, Field(gt=0, le=1)] = 1.0  # 0.5: two on one GPU
    ready_within_s: Annotated[float, Field(gt=0)] = 600.0  # for which no worker may be there
    ray: str = ""  # a running cluster, "auto" for that of RAY_ADDRESS; empty: one on this machine

    @property
    def precision(self) -> Precision:
        """Of models; "auto" is taken as on a GPU that has bfloat16."""
        return "float32" if self.dtype == "float32" else "bfloat16"

    @property
    def value_bytes(self) -> int:
        """Of one weight in this precision."""
        return VALUE_BYTES[self.precision]

    def limits_on(self, device: str) -> Limits:
        """How much goes through a model at once on a device, such as "cuda:1"."""
        images = self.images_at_once or IMAGES_AT_ONCE[device.partition(":")[0]]
        return Limits(self.sentences_at_once, self.objects_at_once, images)
