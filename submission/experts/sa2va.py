"""An expert that is one configuration of Sa2VA, from a checkpoint."""

import hashlib
import sys
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import submission
from submission.dataset.records import Video
from submission.errors import InputError
from submission.experts.expert import Answers
from submission.experts.model_cache import ModelKey, ModelShelf
from submission.experts.showing import Showing
from submission.masks.store import Prediction
from submission.masks.track import Track
from submission.recipe import Sa2VAMember, describe
from submission.video.frame_loader import Square
from submission.video.sampling import key_frames, prompted_frames
from submission.weights.hashes import checkpoint_files, hash_files

if TYPE_CHECKING:
    from submission.models.sa2va.answer import Answer


class Sa2VAExpert:
    """One configuration of Sa2VA."""

    def __init__(
        self, member: Sa2VAMember, checkpoint: Path, sam2: Path | None, shelf: ModelShelf
    ) -> None:
        self.name = member.name
        self.member = member
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
            "model_code": model_code_hash(),
            "libraries": libraries,
        }

    def looks_at(self, video: Video) -> list[Square]:
        """Key frames for the language model, and all frames for SAM 2, prompted ones first."""
        member, length = self.member, len(video.frame_names)
        config = self.shelf.take(self.key, self.beside).config
        shown = key_frames(length, member.frames, member.sampling)
        prompted = prompted_frames(length, member.frames, member.sampling, member.prompt_frames)
        tracked = dict.fromkeys([*prompted, *range(length)])
        return [
            *((time, config.image_size) for time in shown),
            *((time, config.grounding.image_size) for time in tracked),
        ]

    def answer(self, video: Video, showing: Showing) -> Answers:
        """Answer all sentences of a video at once."""
        answers = self._segment(showing, [e.sentence for e in video.expressions], video.name)
        return self._encode(video, answers)

    def _encode(self, video: Video, answers: Sequence["Answer"]) -> Answers:
        length = len(video.frame_names)
        shown = key_frames(length, self.member.frames, self.member.sampling)
        for expression, answer in zip(video.expressions, answers, strict=True):
            track = Track.encode_packed(answer.masks.bits, answer.masks.width)
            yield (
                expression,
                Prediction(expression.sentence, answer.text, shown, answer.num_seg, track),
            )

    def _segment(self, showing: Showing, sentences: list[str], video: str) -> list["Answer"]:
        """Run the model; when a GPU runs out of memory, go on with smaller batches and say so."""
        import torch

        from submission.models.sam2.approximation import Approximation

        member = self.member
        model = self.shelf.take(self.key, self.beside)
        room = round(self.shelf.compute.features_gb * 1e9)
        wanted = model.limits
        while True:
            try:
                return model.segment(
                    showing.watch(model, self.encoder, room),
                    sentences,
                    procedure=member.procedure,
                    sampling=member.sampling,
                    num_frames=member.frames,
                    prompt_frames=member.prompt_frames,
                    seg=member.seg,
                    max_new_tokens=member.max_new_tokens,
                    approximation=Approximation(member.nearest_prompts, member.memory_stride),
                )
            except torch.OutOfMemoryError as error:
                frames, height, width = showing.pictures.shape
                objects = len(sentences) if member.seg == "first" else sys.maxsize
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
            showing.forget()
            torch.cuda.empty_cache()  # outside the handler: the error holds on to tensors


def model_code_hash() -> str:
    """Digest of the code that turns frames into masks: a store of other code is not resumed."""
    package = Path(submission.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(
        file for room in ("models", "video") for file in (package / room).rglob("*.py")
    ):
        digest.update(
            file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes() + b"\0"
        )
    return digest.hexdigest()[:16]
