"""One candidate on its way through a video in one direction: given masks in, probabilities out."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from submission.models.cutie.features import FeaturesOfStep, FrameFeatures


class Candidate:
    """The package's core with its memory, for the objects of one candidate.

    Objects of one core exclude one another pixel by pixel, so alternatives have one core each.
    """

    def __init__(
        self, network: nn.Module, config: Any, features: FrameFeatures, masks: Mapping[int, Tensor]
    ) -> None:
        from cutie.inference.inference_core import InferenceCore

        self._features = FeaturesOfStep(features)
        self._core: Any = InferenceCore(network, config, image_feature_store=self._features)
        self._core.object_manager = self._core.memory.object_manager = _objects()
        self._masks = masks
        self._top_k = config.top_k

    @property
    def objects(self) -> tuple[int, ...]:
        """The ids of the objects known by now, in the order of the channels."""
        return tuple(self._core.object_manager.all_obj_ids)

    def step(self, time: int, image: Tensor, *, last: bool) -> Tensor:
        """Return the probabilities (1 + objects, H, W) of the next frame, background first.

        A mask that is given there names the objects in it; objects known before and not in it keep
        their prediction. Nothing is memorised of the `last` frame.
        """
        self._features.time = time
        self._read_no_more_than_there_is()
        mask = self._masks.get(time)
        objects = None if mask is None else self._in_order(mask)
        with warnings.catch_warnings():
            # The package turns CUDA's autocast off by its old name.
            warnings.filterwarnings("ignore", r".*torch\.cuda\.amp\.autocast", FutureWarning)
            probabilities: Tensor = self._core.step(image, mask, objects, end=last)
        return probabilities

    def _in_order(self, mask: Tensor) -> list[int]:
        """The objects of a mask as the package wants them: known ones first, in their order."""
        there = torch.unique(mask).tolist()
        known = [one for one in self.objects if one in there]
        return [*known, *(one for one in there if one and one not in known)]

    def _read_no_more_than_there_is(self) -> None:
        """A small frame is fewer tokens than are read; the package would fail until it has more."""
        there = min(self._tokens_of_buckets(), default=self._top_k)
        self._core.memory.top_k = min(self._top_k, there)

    def _tokens_of_buckets(self) -> list[int]:
        memory = self._core.memory
        stores = [memory.work_mem, *([memory.long_mem] if memory.use_long_term else [])]
        return [sum(store.size(bucket) for store in stores) for bucket in memory.work_mem.buckets]


def _objects() -> Any:
    """The package's list of objects, which also predicts when a mask names only some of them."""
    from cutie.inference.object_manager import ObjectManager

    class Objects(ObjectManager):  # type: ignore[misc]
        def has_all(self, objects: list[int]) -> bool:
            """Whether a mask leaves nothing to be predicted: it names just what is known."""
            return set(objects) == set(self.all_obj_ids)

    return Objects()


def as_masks(
    given: Mapping[int, NDArray[np.uint8]], shape: tuple[int, int, int], device: torch.device
) -> dict[int, Tensor]:
    """Return given masks of ids as int64 (H, W) on `device`, earliest first.

    Raises ValueError for no mask, one of another size, one outside the video, and one without any
    object.
    """
    length, *size = shape
    if not given:
        raise ValueError("no mask is given; at least one frame must have one")
    for time, ids in given.items():
        if not 0 <= time < length:
            raise ValueError(f"a mask is given at frame {time}; the video has {length} frames")
        if list(ids.shape) != size:
            raise ValueError(f"the mask at frame {time} has shape {ids.shape}, its frame {size}")
        if not ids.any():
            raise ValueError(f"the mask at frame {time} has no object in it")
    return {
        time: torch.from_numpy(given[time].astype(np.int64)).to(device) for time in sorted(given)
    }
