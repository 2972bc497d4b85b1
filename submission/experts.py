"""The seam: an expert answers a video and all its sentences with one track for each sentence.

Two kinds exist: Sa2VA from a checkpoint, and masks that any other model has written as PNGs. A new
kind needs these few methods and nothing else; the store, the vote and the rest do not know kinds.
"""

import hashlib
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from submission.dataset.records import Expression, Video
from submission.device import settle_device, settle_dtype
from submission.errors import InputError
from submission.given_masks import GivenMasks
from submission.masks.store import Prediction
from submission.masks.track import Track
from submission.pictures import Square
from submission.progress import Reporter
from submission.recipe import Compute, MasksMember, Recipe, Sa2VAMember, describe
from submission.sampling import key_frames, prompted_frames
from submission.showing import Showing
from submission.weights.finder import CheckpointFinder
from submission.weights.folders import Weights
from submission.weights.hashes import checkpoint_files, hash_files

if TYPE_CHECKING:
    from submission.model import Answer, Sa2VA

IMAGES_AT_ONCE = {"cpu": 4, "cuda": 8}  # on a CPU more gain nothing

Answers = Iterator[tuple[Expression, Prediction]]


class Expert(Protocol):
    """What the rest of the kit needs of an expert."""

    name: str

    def identity(self) -> dict[str, Any]:
        """All that decides the predictions, as JSON values: settings, content hashes, versions."""

    def looks_at(self, video: Video) -> list[Square]:
        """The squares of the video that `answer` will ask for, in this order."""

    def answer(self, video: Video, showing: Showing) -> Answers:
        """Answer the video's sentences, in order; a sentence without an answer is left out.

        The model has done its work when this returns; drawing from the iterator encodes masks, or
        reads them, and may happen in another thread.
        """


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
            experts.append(GivenMasks(member.name, member.masks))
            continue
        if member.approximation:
            reporter.warn(f"expert {member.name} is an approximation: {member.approximation}")
        checkpoint = finder.find(member.checkpoint)
        sam2 = finder.find_sam2(member.sam2) if member.sam2 else None
        experts.append(Sa2VAExpert(member, checkpoint, sam2, shelf))
    return experts


def attention_kernels(experts: Sequence[Expert]) -> dict[str, str]:
    """The kernel that memory attention ran on, of every expert that used a model."""
    return {
        expert.name: expert.shelf.attention
        for expert in experts
        if isinstance(expert, Sa2VAExpert) and expert.shelf.attention
    }


# Folder of the checkpoint, SAM 2's file beside it, how the language model's weights are kept.
ModelKey = tuple[Path, Path | None, str]


class ModelShelf:
    """Holds the loaded models of one pass."""

    def __init__(self, compute: Compute, reporter: Reporter) -> None:
        self.compute = compute
        self.device = settle_device(compute.device)
        self.dtype = settle_dtype(compute.dtype, self.device)
        self.reporter = reporter
        self.attention = ""  # the kernel of memory attention, once a model was loaded
        self._models: dict[ModelKey, Sa2VA] = {}

    def take(self, key: ModelKey, beside: AbstractSet[ModelKey]) -> "Sa2VA":
        """Return the model of a checkpoint, loading it when it is not on the shelf.

        All but those that stand `beside` it are let go before it is loaded.
        """
        if key not in self._models:
            self._models = {kept: self._models[kept] for kept in self._models.keys() & beside}
            self._models[key] = self._load(*key)
        return self._models[key]

    def _load(self, checkpoint: Path, sam2: Path | None, quantize: str) -> "Sa2VA":
        from submission.model import Limits, load

        kind = self.device.partition(":")[0]
        limits = Limits(
            sentences_at_once=self.compute.sentences_at_once,
            objects_at_once=self.compute.objects_at_once,
            images_at_once=self.compute.images_at_once or IMAGES_AT_ONCE[kind],
        )
        narrow = ", the language model in int8" if quantize == "int8" else ""
        self.reporter.detail(f"loading {checkpoint} on {self.device} as {self.dtype}{narrow}")
        model = load(
            checkpoint, self.device, self.dtype, sam2=sam2, limits=limits, quantize=quantize
        )
        self.attention = model.attention
        self.reporter.detail(f"memory attention runs on {self.attention}")
        return model


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

        from submission.model import Approximation

        member = self.member
        model = self.shelf.take(self.key, self.beside)
        room = round(self.shelf.compute.features_gb * 1e9)
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
                limits = model.limits.halved()
                frames, height, width = showing.pictures.shape
                if limits is None:
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
    package = Path(__file__).parent
    digest = hashlib.sha256()
    beside = [package / name for name in ("pictures.py", "sam2_sizes.py", "sampling.py")]
    for file in [*beside, *sorted((package / "model").glob("*.py"))]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
