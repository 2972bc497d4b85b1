"""Units of work of Cutie, each counted once on the package's core without values."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.fx.experimental import _config

from submission.models.counting import META, count, without_values
from submission.models.cutie.features import FeaturesOfStep, FrameFeatures
from submission.models.cutie.network import Size, lay_out, model_table
from submission.models.cutie.settings import CutieSettings
from submission.models.cutie.work import frames_in_memory
from submission.models.live_bytes import live_bytes
from submission.models.unit_calls import Unit
from submission.models.workload import Work

A_LOT = 1e12  # bytes of features that may be kept


class CutieUnits:
    """A unit's name is a method that counts it, for frames of a height and a width in pixels."""

    def __init__(self, size: Size, settings: CutieSettings) -> None:
        self.settings = settings
        self._size = size
        self.network = without_values(lay_out(size), torch.float32).eval()
        self._steps = cache(self._steps)  # type: ignore[method-assign]

    @torch.inference_mode()
    def __call__(self, unit: Unit) -> Work:
        with shapes_alone():
            counted: Work = getattr(self, unit.name)(*unit.numbers)
        return counted

    def frame(self, side: int) -> Work:
        """What is seen of a frame, whatever the candidates."""
        image = self._image(side, side)
        return count(lambda: FrameFeatures(self.network, A_LOT).at(0, image))

    def step(self, place: int, side: int) -> Work:
        """A candidate's step, so many behind its given mask."""
        return self._steps(side)[place]

    def weights(self) -> Work:
        """Bytes of parameters, as values; they stay in float32."""
        return Work(values=4 * sum(one.numel() for one in self.network.parameters()))

    def seen(self, height: int, width: int) -> Work:
        """Bytes of what is kept of a frame, as values."""
        image = self._image(height, width)
        return Work(values=live_bytes(lambda: FrameFeatures(self.network, A_LOT).at(0, image))[1])

    def kept(self, height: int, width: int) -> Work:
        """Bytes that a candidate with full memory keeps, as values."""
        features = self.features(height, width)
        return Work(values=live_bytes(lambda: self._full(features, height, width))[1])

    def alive(self, height: int, width: int) -> Work:
        """Bytes at the peak of a step with full memory, or of looking at a frame, as values."""
        features = self.features(height, width)
        core, image = self._full(features, height, width), self._image(height, width)
        step, _ = live_bytes(lambda: self.go(core, height, width))
        look, _ = live_bytes(lambda: FrameFeatures(self.network, A_LOT).at(0, image))
        return Work(values=max(step, look))

    def _steps(self, side: int) -> list[Work]:
        """The given mask, one cycle behind it, and one step with a second frame in memory."""
        core = self.core(self.features(side, side), side, side)
        given = count(lambda: self.go(core, side, side, given=True))
        behind = (
            count(lambda: self.go(core, side, side)) for _ in range(self.settings.mem_every + 1)
        )
        return [given, *behind]

    def _full(self, features: FeaturesOfStep, height: int, width: int) -> Any:
        """A core whose memory is full."""
        core = self.core(features, height, width)
        image, nothing = self._image(height, width), torch.empty(0, device=META)
        self.go(core, height, width, given=True)
        _, pixels = features.get_features(0, nothing)
        for _ in range(frames_in_memory(self.settings) - 1):
            core._add_memory(image, pixels, core.last_mask, *features.get_key(0, nothing))
        return core

    def go(self, core: Any, height: int, width: int, *, given: bool = False) -> Tensor:
        """Take the core's next step, with a given mask or without."""
        frame = torch.empty(3, height, width, device=META)
        if not given:
            return core.step(frame)  # type: ignore[no-any-return]
        mask = torch.empty(height, width, dtype=torch.long, device=META)
        return core.step(frame, mask, [1])  # type: ignore[no-any-return]

    def core(self, features: FeaturesOfStep, height: int, width: int) -> Any:
        """The package's core, with nothing in its memory."""
        from cutie.inference.inference_core import InferenceCore
        from omegaconf import OmegaConf

        table = self.settings.table(height, width)
        table["top_k"] = min(table["top_k"], self.settings.tokens(height, width))
        config = OmegaConf.create({**table, "model": model_table(self._size)})
        return InferenceCore(self.network, config, image_feature_store=features)

    def features(self, height: int, width: int) -> FeaturesOfStep:
        """What is seen of a frame, the same for every step, and there already."""
        seen = FrameFeatures(self.network, A_LOT)
        seen.at(0, self._image(height, width))
        return FeaturesOfStep(seen)

    def _image(self, height: int, width: int) -> Tensor:
        """One frame as the core hands it on: padded, and beside its mirror image with `flip`."""
        padded = (-(-side // 16) * 16 for side in (height, width))
        return torch.empty(2 if self.settings.flip else 1, 3, *padded, device=META)


@contextmanager
def shapes_alone() -> Iterator[None]:
    """Let the package look for places that have no values: it is told all of them."""
    with warnings.catch_warnings(), patch.object(_config, "meta_nonzero_assume_all_nonzero", True):
        warnings.filterwarnings("ignore", r".*torch\.cuda\.amp\.autocast", FutureWarning)
        yield
