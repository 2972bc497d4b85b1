"""Masks of key frames become masks of all frames, by Cutie: what every kind that does so shares."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from submission.dataset.records import Video
from submission.errors import Fault, InputError
from submission.experts.expert import Resources, Tools
from submission.experts.opened import faults_of_opening
from submission.experts.out_of_memory import with_less
from submission.experts.propagate.carried import KeyFrame, Propagated, Result, SessionFrames
from submission.experts.propagate.cutie_cost import RELEASED, CutieCost
from submission.models.cutie.settings import CutieSettings
from submission.models.single_file import weights_file
from submission.models.workload import Limits, Stages
from submission.video.session import VideoSession
from submission.video.transforms import AsIs, FrameRequest, ShortSide, Transform
from submission.weights.converted import as_safetensors
from submission.weights.hashes import hash_files

if TYPE_CHECKING:
    from submission.models.cutie.features import FrameFeatures
    from submission.models.cutie.model import Cutie

BASE = "cutie-base-mega"  # in weights.lock; Cutie's weights where a recipe names none


class Propagator:
    """One Cutie and one way to use it, for the candidates of one video after another."""

    smaller = "set short_side lower"  # what to do where one candidate does not fit

    def __init__(
        self, tools: Tools, checkpoint: str, short_side: int, settings: CutieSettings
    ) -> None:
        self.tools = tools
        self.checkpoint = checkpoint
        self.short_side = short_side
        self.settings = settings

    # --- what a kind says of itself --------------------------------------------------------------
    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        """All frames at the size that Cutie sees."""
        return (FrameRequest(tuple(range(len(video.frame_names))), self._transform(*video.size)),)

    def identity(self) -> dict[str, Any]:
        """Settings, the hash of the weights, precision and libraries."""
        return {
            "settings": {"short_side": self.short_side, **asdict(self.settings)},
            "files": hash_files([self.file]),
            "dtype": self.tools.compute.dtype,
            "libraries": {name: version(name) for name in ("rf-cutie", "torch")},
        }

    def faults(self) -> list[Fault]:
        """What is wrong with the file, seen without reading its values."""
        return faults_of_opening(self.tools.checkpoints, self.checkpoint, _open)

    def resources(self) -> Resources:
        """The model; its image features are shared by experts that see frames alike."""
        return Resources(self._model_key, self.cost.weights())

    def work(self, video: Video, candidates: int) -> Stages:
        """Work for so many candidates in a video."""
        return self.cost.work(len(video.frame_names), self._size(video), candidates)

    def memory(self, video: Video, candidates: int, limits: Limits, gpu_bytes: float) -> float:
        """Peak memory in bytes with so many candidates."""
        together = min(limits.objects_at_once, candidates)
        frames = len(video.frame_names)
        return self.cost.memory(frames, self._size(video), together, self._budget_bytes)

    def _size(self, video: Video) -> tuple[int, int]:
        return self._transform(*video.size).size(*video.size)

    # --- what it does ----------------------------------------------------------------------------
    def propagate(
        self, video: Video, session: VideoSession, keys: Sequence[KeyFrame],
        model: "Cutie | None" = None,
    ) -> list[Propagated]:  # fmt: skip
        """Return what becomes of each key frame, in order; they know nothing of each other.

        `model` is what `load` gave, for a kind that keeps it with others; else it is kept here.

        Frames are looked at once for all that go at once. Where a GPU runs out of memory, half as
        many go at once from there on, and it is said.
        """
        model = model or self.tools.models.get(self._model_key, self.load)
        at_once = self.tools.compute.objects_at_once
        done: list[Propagated] = []

        def attempt() -> list[Propagated]:
            while group := keys[len(done) : len(done) + at_once]:
                done.extend(self._together(model, session, group, alone=len(group) == len(keys)))
            return done

        def less() -> str:
            nonlocal at_once
            at_once = min(at_once, len(keys) - len(done)) // 2
            if at_once == 0:
                frames, height, width = session.shape
                raise InputError(
                    f"the GPU's memory does not hold {frames} frames of {width} x {height} "
                    f"with one candidate at a time; {self.smaller}"
                )
            return f"{at_once} of {len(keys)} candidates at once"

        return with_less(attempt, less, session.release, video.name, self.tools.reporter)

    def _together(
        self, model: Any, session: VideoSession, keys: Sequence[KeyFrame], *, alone: bool
    ) -> list[Propagated]:
        frames = SessionFrames(session, self._transform(*session.shape[1:]))
        features = None if alone and not session.several else self._features(model, session)
        results = [Result(key, session.shape) for key in keys]
        masks = [{key.time: frames.shrink(key.mask)} for key in keys]
        for step in model.propagate_each(
            frames, masks, self.settings, features=features, budget_bytes=self._budget_bytes
        ):
            results[step.candidate].take(step)
        return [result.finish() for result in results]

    def _features(self, model: "Cutie", session: VideoSession) -> "FrameFeatures":
        """What is seen of the video's frames, there for all who look at them alike."""
        seen = (self.settings.max_internal_size, self.settings.flip)
        key = ("cutie features", self._model_key, self._transform(*session.shape[1:]), *seen)
        return session.shared(key, lambda: model.features(self._budget_bytes))

    @property
    def _budget_bytes(self) -> float:
        return self.tools.compute.features_gb * 1e9

    def _transform(self, height: int, width: int) -> Transform:
        """Frames are shrunk and never enlarged, as in the authors' evaluation."""
        return ShortSide(self.short_side) if self.short_side < min(height, width) else AsIs()

    # --- what it is made of ----------------------------------------------------------------------
    @cached_property
    def file(self) -> Path:
        """Of the weights; raises InputError where it is nowhere."""
        return weights_file(self.tools.checkpoints.find(self.checkpoint), "Cutie")

    @cached_property
    def cost(self) -> CutieCost:
        """What it takes; its methods raise InputError where the network is not known."""
        return CutieCost(self._network_size, self.settings)

    def _network_size(self) -> str:
        """Base or small, by the names of the file's tensors, else of the release."""
        path = self.tools.checkpoints.locate(self.checkpoint)
        if self.checkpoint in RELEASED and not path.exists():
            return RELEASED[self.checkpoint]
        from submission.models.cutie.network import size_of
        from submission.models.pth_file import read_without_values

        file = weights_file(path, "Cutie")
        return size_of(read_without_values(file), file)

    @property
    def _model_key(self) -> str:
        return f"cutie {self.tools.checkpoints.locate(self.checkpoint)}"

    def load(self) -> Any:
        """Load the model."""
        from submission.models.cutie.loading import load

        compute = self.tools.compute
        self.tools.reporter.detail(f"loading {self.file} on {compute.device} as {compute.dtype}")
        return load(as_safetensors(self.file), compute.device, compute.dtype)


def _open(path: Path) -> None:
    from submission.models.cutie.loading import open_checkpoint

    open_checkpoint(path)
