"""Cutie, loaded: propagates masks from the frames where they are given to all frames."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from submission.models.cutie.candidate import Candidate, as_masks
from submission.models.cutie.features import FrameFeatures, frame_as_image
from submission.models.cutie.network import Size, model_table
from submission.models.cutie.settings import CutieSettings, Propagation

BUDGET_BYTES = 8e9  # of features of one video that may be kept

Masks = Mapping[int, NDArray[np.uint8]]  # frame -> ids (H, W), 0 where there is no object


class Frames(Protocol):
    """A video as an array of frames, or anything that gives them one by one."""

    def __len__(self) -> int: ...

    def __getitem__(self, time: int, /) -> NDArray[np.uint8]:
        """RGB (H, W, 3)."""


@dataclass(frozen=True)
class Step:
    """One frame of one candidate."""

    candidate: int  # its number in the call
    time: int
    objects: tuple[int, ...]  # ids of the channels behind the first
    probabilities: Tensor  # float32 (1 + objects, H, W), background first, on the device


class Cutie:
    """The network and where it runs."""

    def __init__(
        self, network: nn.Module, size: Size, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.network = network
        self.size = size
        self.device = device
        self.dtype = dtype
        self._model_table = model_table(size)

    def propagate(
        self, frames: Frames, masks: Masks, settings: CutieSettings | None = None,
        *, budget_bytes: float = BUDGET_BYTES,
    ) -> Propagation:  # fmt: skip
        """Return the masks of all frames of a video, uint8 RGB (T, H, W, 3), from those given.

        From the earliest given mask the others are met on the way to the end; the frames before it
        are reached backwards from it alone. Raises ValueError for masks that fit no frame, and
        ArithmeticError when the result is not finite.
        """
        height, width = frames[0].shape[:2]
        ids = np.zeros((len(frames), height, width), np.uint8)
        steps: dict[int, Step] = {}
        probabilities: dict[int, NDArray[np.float32]] = {}
        for step in self.propagate_each(frames, [masks], settings, budget_bytes=budget_bytes):
            values = step.probabilities.cpu().numpy()
            if not np.isfinite(values).all():
                raise ArithmeticError(f"frame {step.time}: probabilities are not finite")
            steps[step.time], probabilities[step.time] = step, values
            ids[step.time] = np.array([0, *step.objects], np.uint8)[values.argmax(axis=0)]
        every = range(len(frames))
        return Propagation(
            ids, [probabilities[time] for time in every], [steps[time].objects for time in every]
        )

    def propagate_each(
        self, frames: Frames, candidates: Sequence[Masks], settings: CutieSettings | None = None,
        *, features: FrameFeatures | None = None, budget_bytes: float = BUDGET_BYTES,
    ) -> Iterator[Step]:  # fmt: skip
        """Give the frames of several candidates side by side, each frame of each once.

        Candidates know nothing of each other and share what is seen of a frame. First come the
        frames from the earliest mask to the end, then those before it, backwards. `features` of an
        earlier call with the same frames and settings are used and kept.
        Raises ValueError as `propagate`.
        """
        settings = settings or CutieSettings()
        shape = (len(frames), *frames[0].shape[:2])
        masks = dict(enumerate(as_masks(given, shape, self.device) for given in candidates))
        starts = {number: min(given) for number, given in masks.items()}
        turn = max(starts.values(), default=0)  # where the way backwards begins
        again, features = features is not None, features or self.features(budget_bytes)
        config = self._config(settings, shape[1:])

        forward = self._candidates(config, features, masks)
        for time in range(min(starts.values(), default=shape[0]), shape[0]):
            active = {n: core for n, core in forward.items() if starts[n] <= time}
            yield from self._steps(frames, time, active, last=time == shape[0] - 1)
            if again or time <= turn:
                features.keep(time)
        del forward
        firsts = {n: {start: masks[n][start]} for n, start in starts.items() if start > 0}
        backward = self._candidates(config, features, firsts)
        for time in range(turn, -1, -1):
            active = {n: core for n, core in backward.items() if starts[n] >= time}
            for step in self._steps(frames, time, active, last=time == 0):
                if time != starts[step.candidate]:  # given on the way forward
                    yield step
            if not again:
                features.drop(time)

    def features(self, budget_bytes: float = BUDGET_BYTES) -> FrameFeatures:
        """Return what several calls about one video can share."""
        return FrameFeatures(self.network, budget_bytes)

    def _candidates(
        self, config: object, features: FrameFeatures, masks: Mapping[int, Mapping[int, Tensor]]
    ) -> dict[int, Candidate]:
        return {n: Candidate(self.network, config, features, masks[n]) for n in masks}

    def _steps(
        self, frames: Frames, time: int, active: Mapping[int, Candidate], *, last: bool
    ) -> Iterator[Step]:
        if not active:
            return
        image = frame_as_image(frames[time], self.device)
        for number, candidate in active.items():
            with torch.inference_mode(), self._precision():
                probabilities = candidate.step(time, image, last=last)
            yield Step(number, time, candidate.objects, probabilities)

    def _precision(self) -> AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def _config(self, settings: CutieSettings, size: tuple[int, ...]) -> object:
        from omegaconf import OmegaConf

        return OmegaConf.create({**settings.table(*size), "model": self._model_table})
