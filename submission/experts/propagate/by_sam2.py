"""Masks of key frames become masks of all frames by SAM 2, in Cutie's place."""

from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from submission.dataset.records import Video
from submission.errors import Fault, InputError
from submission.experts.expert import Resources, Tools
from submission.experts.opened import faults_of_opening
from submission.experts.propagate.by_cutie import Propagator
from submission.experts.propagate.carried import KeyFrame, Propagated
from submission.experts.propagate.sam2_cost import Sam2Cost
from submission.masks.store import CONFIDENCE_DIGITS
from submission.models.cutie.settings import CutieSettings
from submission.models.sam2.sizes import sizes_beside
from submission.models.single_file import SAM2_FILE, sam2_file
from submission.models.workload import Clip, Limits, Stages
from submission.video.session import VideoSession
from submission.video.transforms import FrameRequest, Squash
from submission.weights.hashes import hash_files

if TYPE_CHECKING:
    from submission.models.sam2.image_features import FrameFeatures
    from submission.models.sam2.network import GroundingNetwork

RELEASED = "SAM2-hiera-large"  # in weights.lock


class Sam2Propagator(Propagator):
    """SAM 2 for the candidates of one video after another; it has no settings."""

    smaller = 'take tracker = "cutie", which needs less'

    def __init__(self, tools: Tools, checkpoint: str) -> None:
        super().__init__(tools, checkpoint, 0, CutieSettings())

    # --- what a kind says of itself --------------------------------------------------------------
    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        """All frames as SAM 2's image encoder sees them."""
        file = _file(self.tools.checkpoints.locate(self.checkpoint))
        times = tuple(range(len(video.frame_names)))
        return (FrameRequest(times, Squash(sizes_beside(file).image_size)),)

    def identity(self) -> dict[str, Any]:
        """The hash of the weights, precision and libraries."""
        return {
            "tracker": "sam2",
            "files": hash_files([self.file]),
            "dtype": self.tools.compute.dtype,
            "libraries": {name: version(name) for name in ("sam2", "torch")},
        }

    def faults(self) -> list[Fault]:
        """What is wrong with the file, seen without reading its values."""
        return faults_of_opening(self.tools.checkpoints, self.checkpoint, _open)

    def resources(self) -> Resources:
        """The model; the experts that went before may have let theirs go."""
        return Resources(self._model_key, self.sam2_cost.weights(self.tools.compute.value_bytes))

    def work(self, video: Video, candidates: int) -> Stages:
        """Work for so many candidates in a video."""
        images = self.tools.compute.limits_on("cuda").images_at_once
        return self.sam2_cost.work(len(video.frame_names), video.size, candidates, images)

    def memory(self, video: Video, candidates: int, limits: Limits, gpu_bytes: float) -> float:
        """Peak memory in bytes with so many candidates."""
        clip = Clip(len(video.frame_names), candidates, *video.size)
        return self.sam2_cost.memory(
            clip, limits, gpu_bytes=gpu_bytes, value_bytes=self.tools.compute.value_bytes
        )

    # --- what it does ----------------------------------------------------------------------------
    def _together(
        self, model: "GroundingNetwork", session: VideoSession, keys: Sequence[KeyFrame], *,
        alone: bool,
    ) -> list[Propagated]:  # fmt: skip
        from submission.models.finite import FiniteOutputs, NotFinite
        from submission.models.mask_packing import MaskStack, enlarge
        from submission.models.sam2.propagate import Given, propagate

        side, size = model.config.image_size, session.shape[1:]
        stacks = [MaskStack(1, session.shape) for _ in keys]
        sure: list[dict[int, Any]] = [{} for _ in keys]
        finite = FiniteOutputs()
        given = [Given(key.time, key.mask) for key in keys]
        for step in propagate(model, self._watch(model, session, alone=alone), given):
            logits = enlarge(finite.look(step.found.logits), side, size)
            for row, number in enumerate(step.candidates):
                stacks[number].draw(step.time, logits[row : row + 1])
                sure[number][step.time] = step.found.confidence[row]
        try:
            finite.refuse("a mask")
        except NotFinite:
            raise InputError("SAM 2's masks are not finite: are these its weights?") from None
        return [
            _finished(key, stack.masks()[0].bits, size[1], known)
            for key, stack, known in zip(keys, stacks, sure, strict=True)
        ]

    def _watch(
        self, model: "GroundingNetwork", session: VideoSession, *, alone: bool
    ) -> "FrameFeatures":
        """The video's image features, there for all candidates, groups and experts."""
        from submission.device import settle_for_model
        from submission.models.sam2.image_features import FrameFeatures, Keeping

        compute = self.tools.compute
        place, precision = settle_for_model(compute.device, compute.dtype)
        limits = compute.limits_on(compute.device)
        keeping = Keeping(round(self._budget_bytes), session.several or not alone)
        return session.shared(
            ("sam2 image features", self._model_key),
            lambda: FrameFeatures(
                model, session.loader, place, precision, limits.images_at_once, keeping
            ),
        )

    # --- what it is made of ----------------------------------------------------------------------
    @cached_property
    def sam2_cost(self) -> Sam2Cost:
        """What it takes, by the sizes beside the file, else those of the release."""
        file = _file(self.tools.checkpoints.locate(self.checkpoint))
        return Sam2Cost(lambda: sizes_beside(file))

    @cached_property
    def file(self) -> Path:
        """Of the weights; raises InputError where it is nowhere."""
        return sam2_file(self.tools.checkpoints.find(self.checkpoint))

    @property
    def _model_key(self) -> str:
        return f"sam2 {self.tools.checkpoints.locate(self.checkpoint)}"

    def load(self) -> "GroundingNetwork":
        """Load the model."""
        from submission.device import settle_for_model
        from submission.models.sam2.loading import load_sam2

        compute = self.tools.compute
        self.tools.reporter.detail(f"loading {self.file} on {compute.device} as {compute.dtype}")
        place, precision = settle_for_model(compute.device, compute.dtype)
        return load_sam2(self.file, place, precision, compute.attention)


def _finished(key: KeyFrame, bits: Any, width: int, sure: dict[int, Any]) -> Propagated:
    bits[key.time] = np.packbits(key.mask, axis=-1)
    known = [round(float(sure[time]), CONFIDENCE_DIGITS) for time in sorted(sure)]
    return Propagated(bits, width, tuple(known))


def _file(path: Path) -> Path:
    return path / SAM2_FILE if path.is_dir() else path


def _open(path: Path) -> None:
    from submission.models.sam2.loading import open_sam2

    open_sam2(_file(path))
