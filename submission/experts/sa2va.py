"""An expert that is one configuration of Sa2VA, from a checkpoint."""

import sys
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from submission.code_digest import prediction_code
from submission.cost.sizes import Sizes, read_sizes
from submission.dataset.records import Video
from submission.errors import InputError
from submission.experts.expert import Expert, Predictions
from submission.experts.model_cache import ModelKey, ModelShelf
from submission.masks.store import Prediction
from submission.masks.track import Track
from submission.models.sa2va.internvl.images import image_requests
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.settings import Settings
from submission.recipe import Sa2VAMember, describe
from submission.video.session import VideoSession
from submission.video.transforms import FrameRequest, Squash
from submission.weights.hashes import checkpoint_files, hash_files

if TYPE_CHECKING:
    from submission.models.sa2va.answer import Answer
    from submission.models.sa2va.model import Sa2VA
    from submission.models.sam2.image_features import FrameFeatures


class Sa2VAExpert(Expert):
    """One configuration of Sa2VA."""

    def __init__(
        self, member: Sa2VAMember, checkpoint: Path, sam2: Path | None, shelf: ModelShelf
    ) -> None:
        self.name = member.name
        self.member = member
        # A setting that the recipe has no key for yet keeps its default.
        keys = [field.name for field in fields(Settings) if hasattr(member, field.name)]
        self.settings = Settings(**{key: getattr(member, key) for key in keys})
        self.procedure = PROCEDURES[self.settings.procedure]
        self.checkpoint = checkpoint
        self.sam2 = sam2
        self.shelf = shelf
        self.encoder = str(checkpoint)  # names what it sees of images: equal names, equal content
        self.beside: AbstractSet[ModelKey] = frozenset()  # models that stay loaded beside its own

    @property
    def key(self) -> ModelKey:
        """What names its loaded model."""
        return self.checkpoint, self.sam2, self.member.quantize

    def identity(self) -> dict[str, Any]:
        """Settings without paths, hashes of all files, precision, model code and libraries."""
        settings = describe(self.member)
        for path_key in ("checkpoint", "sam2"):
            settings.pop(path_key, None)
        files = hash_files(
            [*checkpoint_files(self.checkpoint), *([self.sam2] if self.sam2 else [])],
            lambda file: self.shelf.reporter.detail(f"hashing {file}"),
        )
        libraries = {name: version(name) for name in ("sam2", "torch", "transformers")}
        return {
            "settings": settings,
            "files": files,
            "dtype": self.shelf.dtype,
            "model_code": prediction_code(__name__),
            "libraries": libraries,
        }

    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        """Key frames for the language model, and all frames for SAM 2, prompted ones first."""
        length = len(video.frame_names)
        images = self.procedure.images(length, self.settings)
        steps = self.procedure.steps(length, self.settings)
        looked_at = tuple(dict.fromkeys(step.frame for step in steps))
        return (
            *image_requests(images, self._sizes.vision.image),
            FrameRequest(looked_at, Squash(self._sizes.grounding.image_size)),
        )

    @cached_property
    def _sizes(self) -> Sizes:
        return read_sizes(self.checkpoint)

    def predict(self, video: Video, session: VideoSession) -> Predictions:
        """Answer all expressions of a video at once."""
        answers = self._segment(session, [e.sentence for e in video.expressions], video.name)
        return self._encode(video, answers)

    def _encode(self, video: Video, answers: Sequence["Answer"]) -> Predictions:
        images = self.procedure.images(len(video.frame_names), self.settings)
        shown = sorted({time for image in images for time in image})
        for expression, answer in zip(video.expressions, answers, strict=True):
            track = Track.encode_packed(answer.masks.bits, answer.masks.width)
            details = {
                "text": answer.text,
                "key_frames": shown,
                "num_seg": answer.num_seg,
            }
            yield expression, Prediction(expression.sentence, track, details)

    def _segment(self, session: VideoSession, sentences: list[str], video: str) -> list["Answer"]:
        """Run the model; when a GPU runs out of memory, go on with smaller batches and say so."""
        import torch

        model = self.shelf.take(self.key, self.beside)
        wanted = model.limits
        while True:
            try:
                return model.segment(
                    self._features(session, model),
                    sentences,
                    self.settings,
                )
            except torch.OutOfMemoryError as error:
                frames, height, width = session.shape
                objects = len(sentences) if self.settings.seg == "first" else sys.maxsize
                limits = model.limits.halved_for(len(sentences), objects, frames)
                if limits is None:
                    model.limits = wanted  # the next video may well fit
                    raise InputError(
                        f"the GPU's memory does not hold {frames} frames of {width} x {height} "
                        "even one at a time; set frames lower, or take a smaller checkpoint"
                    ) from error
                model.limits = limits
                self.shelf.reporter.warn(
                    f"video {video}: out of GPU memory, going on with {limits}"
                )
            session.release()
            torch.cuda.empty_cache()  # outside the handler: the error holds on to tensors

    def _features(self, session: VideoSession, model: "Sa2VA") -> "FrameFeatures":
        """The video's image features: those of an equal image encoder where there are some."""
        from submission.models.sam2.image_features import Keeping

        keeping = Keeping(round(self.shelf.compute.features_gb * 1e9), session.several)
        return session.shared(
            ("sam2 image features", self.encoder, model.config.grounding),
            lambda: model.watch(session.loader, keeping),
        )
