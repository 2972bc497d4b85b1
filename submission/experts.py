"""The seam: an expert answers a video and all its sentences with one track for each sentence.

Two kinds exist: Sa2VA from a checkpoint, and masks that any other model has written as PNGs. A new
kind needs these few methods and nothing else; the store, the vote and the rest do not know kinds.
"""

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from submission.dataset.records import Expression, Video
from submission.device import settle_device, settle_dtype
from submission.errors import InputError
from submission.masks.store import Prediction
from submission.masks.track import Track
from submission.output.mask_files import open_submission
from submission.progress import Reporter
from submission.recipe import Compute, MasksMember, Recipe, Sa2VAMember, describe
from submission.sampling import key_frames
from submission.weights.finder import CheckpointFinder
from submission.weights.folders import Weights
from submission.weights.hashes import checkpoint_files, hash_files

if TYPE_CHECKING:
    from submission.model import Answer, Sa2VA

Frames = NDArray[np.uint8]  # (T, H, W, 3) RGB
IMAGES_AT_ONCE = {"cpu": 1, "cuda": 8}  # alone on a CPU, where a batch gains nothing


class Expert(Protocol):
    """What the rest of the kit needs of an expert."""

    name: str
    needs_frames: bool  # whether `answer` looks at the pixels

    def identity(self) -> dict[str, Any]:
        """All that decides the predictions, as JSON values: settings, content hashes, versions."""

    def answer(
        self, video: Video, frames: Frames | None
    ) -> Iterator[tuple[Expression, Prediction]]:
        """Answer the video's sentences, in order; a sentence without an answer is left out."""


def make_experts(
    recipe: Recipe, reporter: Reporter, weights: Weights | None = None, *, hash_all: bool = False
) -> list[Expert]:
    """Make the recipe's experts; those that share a checkpoint share the loaded model.

    A checkpoint that weights.lock names is compared with it first; `hash_all` reads every byte
    for that, also where the hash of a file in its present state is remembered.
    """
    shelf = ModelShelf(recipe.compute, reporter)
    finder = CheckpointFinder(recipe.folder, weights or Weights(), hash_all, reporter)
    experts: list[Expert] = []
    for member in recipe.experts:
        if isinstance(member, MasksMember):
            experts.append(GivenMasks(member))
            continue
        checkpoint = finder.find(member.checkpoint)
        sam2 = finder.find_sam2(member.sam2) if member.sam2 else None
        experts.append(Sa2VAExpert(member, checkpoint, sam2, shelf))
    return experts


class ModelShelf:
    """Holds one loaded model at a time, for the experts that use it one after another."""

    def __init__(self, compute: Compute, reporter: Reporter) -> None:
        self.compute = compute
        self.device = settle_device(compute.device)
        self.dtype = settle_dtype(compute.dtype, self.device)
        self.reporter = reporter
        self._key: tuple[Path, Path | None] | None = None
        self._model: Sa2VA | None = None

    def take(self, checkpoint: Path, sam2: Path | None) -> "Sa2VA":
        """Return the model of a checkpoint, loading it when another one is on the shelf."""
        if self._model is None or self._key != (checkpoint, sam2):
            from submission.model import Limits, load

            self._model = None  # let go of the old weights before the new ones come
            kind = self.device.partition(":")[0]
            limits = Limits(
                sentences_at_once=self.compute.sentences_at_once,
                objects_at_once=self.compute.objects_at_once,
                images_at_once=self.compute.images_at_once or IMAGES_AT_ONCE[kind],
            )
            self.reporter.detail(f"loading {checkpoint} on {self.device} as {self.dtype}")
            self._model = load(checkpoint, self.device, self.dtype, sam2=sam2, limits=limits)
            self._key = (checkpoint, sam2)
        return self._model


class Sa2VAExpert:
    """One configuration of Sa2VA."""

    needs_frames = True

    def __init__(
        self, member: Sa2VAMember, checkpoint: Path, sam2: Path | None, shelf: ModelShelf
    ) -> None:
        self.name = member.name
        self.member = member
        self.checkpoint = checkpoint
        self.sam2 = sam2
        self.shelf = shelf

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

    def answer(
        self, video: Video, frames: Frames | None
    ) -> Iterator[tuple[Expression, Prediction]]:
        """Answer all sentences of a video at once."""
        assert frames is not None
        member = self.member
        try:
            answers = self._segment(frames, [e.sentence for e in video.expressions], video.name)
        except InputError as error:
            raise InputError(f"expert {self.name}, video {video.name}: {error}") from error
        shown = key_frames(len(frames), member.frames, member.sampling)
        for expression, answer in zip(video.expressions, answers, strict=True):
            track = Track.encode(answer.masks[time] for time in range(len(frames)))
            yield (
                expression,
                Prediction(expression.sentence, answer.text, shown, answer.num_seg, track),
            )

    def _segment(self, frames: Frames, sentences: list[str], video: str) -> list["Answer"]:
        """Run the model; when a GPU runs out of memory, go on with smaller batches and say so."""
        import torch

        member = self.member
        model = self.shelf.take(self.checkpoint, self.sam2)
        while True:
            try:
                return model.segment(
                    frames,
                    sentences,
                    procedure=member.procedure,
                    sampling=member.sampling,
                    num_frames=member.frames,
                    prompt_frames=member.prompt_frames,
                    seg=member.seg,
                    max_new_tokens=member.max_new_tokens,
                )
            except torch.OutOfMemoryError as error:
                limits = model.limits.halved()
                if limits is None:
                    raise InputError(
                        f"the GPU's memory does not hold {len(frames)} frames of "
                        f"{frames.shape[2]} x {frames.shape[1]} even one at a time; "
                        "set frames lower, or take a smaller checkpoint"
                    ) from error
                model.limits = limits
                self.shelf.reporter.warn(
                    f"video {video}: out of GPU memory, going on with {limits}"
                )
            torch.cuda.empty_cache()  # outside the handler: the error holds on to tensors


class GivenMasks:
    """An expert whose answers lie in a folder or zip of PNGs in the submission layout."""

    needs_frames = False

    def __init__(self, member: MasksMember) -> None:
        self.name = member.name
        self.path = member.masks
        if not self.path.exists():
            raise InputError(f"expert {self.name}: {self.path}: no such folder or zip of masks")
        self._files = open_submission(self.path)
        self._names = self._files.names()
        self._answered = {name.rpartition("/")[0] for name in self._names}  # folders with PNGs

    def identity(self) -> dict[str, Any]:
        """A digest of the zip, or of every file's name, size and time of change in the folder."""
        return {"masks": _masks_digest(self.path, sorted(set(self._names)))}

    def answer(
        self, video: Video, frames: Frames | None
    ) -> Iterator[tuple[Expression, Prediction]]:
        """Read the video's tracks; a sentence of which no frame is there is left out."""
        for expression in video.expressions:
            if f"{video.name}/{expression.id}" in self._answered:
                track = self._files.read_track(video, expression.id)
                yield expression, Prediction(expression.sentence, "", (), 0, track)


def _masks_digest(path: Path, names: list[str]) -> str:
    if path.is_file():
        return hash_files([path])[path.name]
    digest = hashlib.sha256()
    for name in names:
        stat = (path / name).stat()
        digest.update(f"{name}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def model_code_hash() -> str:
    """Digest of the code that turns frames into masks: a store of other code is not resumed."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for file in [package / "pictures.py", package / "sampling.py", *sorted((package / "model").glob("*.py"))]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
