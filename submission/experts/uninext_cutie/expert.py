"""UNINEXT finds the object in every frame, Cutie carries the best frames' masks through the video.

The second expert of the paper's ensemble, built from public parts (docs/uninext_cutie.md). The
weights that the paper tuned on MeViS were never published, so its 58.93 J&F is out of reach.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from submission.code_digest import prediction_code
from submission.counted import counted
from submission.dataset.records import Split, Video
from submission.errors import Fault, InputError
from submission.experts.expert import Expert, Predictions, Resources, Tools
from submission.experts.opened import faults_of_opening
from submission.experts.propagate.by_cutie import Propagator
from submission.experts.propagate.carried import KeyFrame
from submission.experts.uninext_cutie.cost import UninextCost
from submission.experts.uninext_cutie.finding import Found, find
from submission.experts.uninext_cutie.key_frames import best_frames, fuse
from submission.experts.uninext_cutie.settings import Settings
from submission.masks.store import Prediction
from submission.masks.track import Track
from submission.models.cutie.settings import CutieSettings
from submission.models.single_file import weights_file
from submission.models.uninext.config import FRAME_SIZE, UninextConfig, read_config
from submission.models.uninext.released import RELEASED
from submission.models.uninext.tokenizer import BESIDE, VOCABULARY, find_vocabulary
from submission.models.workload import Limits, Stages
from submission.video.session import VideoSession
from submission.video.transforms import FrameRequest
from submission.weights.converted import as_safetensors
from submission.weights.hashes import hash_files

if TYPE_CHECKING:
    from submission.models.cutie.model import Cutie
    from submission.models.uninext.model import Uninext

AT_ONCE = 16  # sentences that look at a frame together, at most, on a GPU


def build(name: str, settings: Settings, tools: Tools) -> Expert:
    """Build one from the settings that the recipe states."""
    return UninextCutie(name, settings, tools)


@dataclass(frozen=True)
class Models:
    """The two networks, loaded."""

    uninext: "Uninext"
    cutie: "Cutie"


class UninextCutie(Expert):
    """Per-frame masks; the best of them carried both ways; all of them fused."""

    def __init__(self, name: str, settings: Settings, tools: Tools) -> None:
        self.name = name
        self.settings = settings
        self.tools = tools
        self.propagator = Propagator(
            tools, settings.cutie, settings.short_side,
            CutieSettings(mem_every=settings.mem_every, max_mem_frames=settings.max_mem_frames),
        )  # fmt: skip

    # --- what it does ----------------------------------------------------------------------------
    def identity(self) -> dict[str, Any]:
        """Settings without paths, hashes of weights and vocabulary, precision, code, libraries."""
        settings = asdict(self.settings)
        del settings["uninext"], settings["cutie"]
        files = {
            "uninext": self._uninext,
            "cutie": self.propagator.file,
            "vocabulary": self._vocabulary,
        }
        return {
            "settings": settings,
            "propagation": asdict(self.propagator.settings),
            "files": {role: self._hash(file) for role, file in files.items()},
            "dtype": self.tools.compute.dtype,
            "model_code": prediction_code(__name__),
            "libraries": {name: version(name) for name in ("rf-cutie", "torch", "transformers")},
        }

    def faults(self, split: Split) -> Sequence[Fault]:
        """What is wrong with both files and the vocabulary, seen without reading values."""
        finder, name = self.tools.checkpoints, self.settings.uninext
        return [*faults_of_opening(finder, name, self._open), *self.propagator.faults()]

    def _open(self, path: Path) -> None:
        from submission.models.uninext.loading import open_checkpoint

        beside = None if self._own_vocabulary else self.tools.checkpoints.openable(BESIDE)
        if words := self._own_vocabulary or (beside and beside / VOCABULARY):
            open_checkpoint(path, words)  # without, the vocabulary is still to come

    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        """All frames as UNINEXT sees them; at full size, for Cutie, they are asked for later."""
        return (FrameRequest(tuple(range(len(video.frame_names))), FRAME_SIZE),)

    def predict(self, video: Video, session: VideoSession) -> Predictions:
        """Answer all expressions of a video; frames, and what is seen of them, are shared."""
        models = self.tools.models.get(self._key, self._load)
        sentences = [expression.sentence for expression in video.expressions]
        found = find(session, models.uninext, sentences, video.name, self.tools.reporter)
        keys = [best_frames(one.bits, one.scores, self.settings.key_frames) for one in found]
        carried = self._carry(video, session, models.cutie, found, keys)
        return self._answers(video, found, keys, carried)

    def _carry(
        self, video: Video, session: VideoSession, model: "Cutie", found: Sequence[Found],
        keys: Sequence[Sequence[int]],
    ) -> list[list[Track]]:  # fmt: skip
        """Carry each key frame's mask both ways: the tracks of each expression's key frames."""
        width = video.size[1]
        wanted = [
            KeyFrame(time, np.unpackbits(one.bits[time], axis=-1, count=width).astype(bool))
            for one, times in zip(found, keys, strict=True)
            for time in times
        ]
        session.loader.prefetch(self.propagator.frames(video) if wanted else ())
        carried = iter(self.propagator.propagate(video, session, wanted, model))
        return [[next(carried).track() for _ in times] for times in keys]

    def _answers(
        self, video: Video, found: Sequence[Found], keys: Sequence[list[int]],
        carried: Sequence[Sequence[Track]],
    ) -> Predictions:  # fmt: skip
        width = video.size[1]
        for expression, one, times, tracks in zip(
            video.expressions, found, keys, carried, strict=True
        ):
            details: dict[str, Any] = {"key_frames": times, "confidence": one.scores}
            track = Track.encode_packed(one.bits, width)
            if times:
                track = fuse(tracks, track, self.settings.fusion)
            else:
                details["why_empty"] = "UNINEXT found no mask in any frame"
            yield expression, Prediction(expression.sentence, track, details)

    # --- what it opens ---------------------------------------------------------------------------
    @cached_property
    def _uninext(self) -> Path:
        return weights_file(self.tools.checkpoints.find(self.settings.uninext), "UNINEXT")

    @cached_property
    def _own_vocabulary(self) -> Path | None:
        """BERT's vocabulary beside UNINEXT's file."""
        with suppress(InputError):
            folder = self.tools.checkpoints.locate(self.settings.uninext)
            return find_vocabulary(weights_file(folder, "UNINEXT"))
        return None

    @cached_property
    def _vocabulary(self) -> Path:
        """The one beside UNINEXT's file, else the one that weights.lock names."""
        return self._own_vocabulary or self.tools.checkpoints.find(BESIDE) / VOCABULARY

    @property
    def _key(self) -> str:
        return f"{self.settings.uninext} {self.settings.cutie}"

    def _hash(self, file: Path) -> str:
        say = self.tools.reporter.detail
        return hash_files([file], lambda one: say(f"hashing {one}"))[file.name]

    def _load(self) -> Models:
        from submission.models.uninext.loading import load

        device, dtype = self.tools.compute.device, self.tools.compute.dtype
        self.tools.reporter.detail(f"loading {self._uninext} on {device} as {dtype}")
        uninext = load(as_safetensors(self._uninext), device, dtype, vocabulary=self._vocabulary)
        limits = min(uninext.sentences_at_once, self.tools.compute.sentences_at_once)
        uninext.sentences_at_once = limits
        return Models(uninext, self.propagator.load())

    # --- what is said of it ----------------------------------------------------------------------
    def summary(self, videos: Sequence[Video]) -> str:
        """How many frames UNINEXT reads, and how many masks Cutie carries."""
        frames = sum(len(video.frame_names) for video in videos)
        expressions = sum(len(video.expressions) for video in videos)
        carried = counted(expressions * self.settings.key_frames, "mask")
        return f"{counted(frames, 'frame')}, up to {carried} carried"

    def warnings(self) -> tuple[str, ...]:
        return (
            "is built from public weights; those that the paper tuned on MeViS were never "
            "published, so its 58.93 J&F cannot be repeated (docs/uninext_cutie.md)",
        )

    def checkpoints(self) -> tuple[str, ...]:
        words = () if self._own_vocabulary else (BESIDE,)
        return self.settings.uninext, self.settings.cutie, *words

    # --- what it takes ---------------------------------------------------------------------------
    def resources(self) -> Resources:
        """Both networks in memory; 0 bytes for one whose sizes are not known yet."""
        weights = 0.0
        with suppress(InputError):
            weights += self._cost.weights(self.tools.compute.value_bytes)
        with suppress(InputError):
            weights += self.propagator.cost.weights()
        return Resources(self._key, weights)

    def work(self, video: Video, limits: Limits) -> Stages:
        frames, together = len(video.frame_names), min(AT_ONCE, limits.sentences_at_once)
        found = self._cost.work(frames, self._size(video), len(video.expressions), together)
        return {**found, **self.propagator.work(video, self._candidates(video))}

    def memory(self, video: Video, limits: Limits, gpu_bytes: float) -> float:
        """Both networks, and the larger of what either needs beside itself."""
        together = min(AT_ONCE, limits.sentences_at_once, len(video.expressions))
        finding = self._cost.memory(self._size(video), together, self.tools.compute.value_bytes)
        carrying = self.propagator.memory(video, self._candidates(video), limits, gpu_bytes)
        both = self._cost.weights(self.tools.compute.value_bytes), self.propagator.cost.weights()
        return max(finding + both[1], carrying + both[0])

    def _candidates(self, video: Video) -> int:
        """At most: as many as there are where each expression is found somewhere."""
        return len(video.expressions) * self.settings.key_frames

    def _size(self, video: Video) -> tuple[int, int]:
        return FRAME_SIZE.size(*video.size)

    @cached_property
    def _cost(self) -> UninextCost:
        return UninextCost(self._config)

    def _config(self) -> UninextConfig:
        """Sizes, by the names and shapes of the file's tensors, else of the release."""
        path = self.tools.checkpoints.locate(self.settings.uninext)
        if self.settings.uninext in RELEASED and not path.exists():
            return RELEASED[self.settings.uninext]
        from submission.models.pth_file import read_without_values

        file = weights_file(path, "UNINEXT")
        stored = read_without_values(file)
        return read_config({key: tuple(value.shape) for key, value in stored.items()}, file)
