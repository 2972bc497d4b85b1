"""Sa2VA: a video and all its sentences in, an answer with masks for each sentence out.

The work is shared per video: the key frames pass the vision encoder once, the language model reads
them once, SAM 2 encodes each frame once, and all objects are tracked side by side.

On a CPU the same call gives the same bytes. A different `sentences_at_once` or `objects_at_once`
changes the shapes of matrix products and with them the last bits of float32; a tracked mask can
then differ in single pixels, because memory is rounded to bfloat16 (tests bound this).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from submission.errors import FaultyInput, InputError
from submission.models.finite import NotFinite, first_not_finite
from submission.models.mask_packing import enlarge
from submission.models.sa2va.answer import Answer
from submission.models.sa2va.asking import answer_all
from submission.models.sa2va.backbone import Backbone
from submission.models.sa2va.grounding import embed_objects, follow, join_objects
from submission.models.sa2va.kept_images import KeptImages
from submission.models.sa2va.language import Reply
from submission.models.sa2va.procedures import PROCEDURES, decoder_faults, idle_faults
from submission.models.sa2va.prompts import make_prompts
from submission.models.sa2va.questions import existence_question
from submission.models.sa2va.settings import Settings
from submission.models.sam2.fixed_parts import EAGER, FixedParts
from submission.models.sam2.image_features import FrameFeatures, Keeping
from submission.models.sam2.memory_attention import MemoryReader
from submission.models.sam2.network import GroundingNetwork
from submission.models.sam2.tracker import Tracker
from submission.models.workload import Limits, even_groups
from submission.video.frame_loader import FrameLoader

DEFAULTS = Settings()
Result = TypeVar("Result")
# Threads that resize the frames of an array: Pillow works outside the interpreter lock.
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
RESIZERS = min(16, CORES)
Frames = NDArray[np.uint8]  # (T, H, W, 3) RGB


class Sa2VA:
    """A loaded model, whose weights stay as they are; `submission.models.load` makes one."""

    def __init__(
        self, backbone: Backbone, limits: Limits | None = None, parts: FixedParts = EAGER
    ) -> None:
        self.backbone = backbone
        self.network = backbone.network
        self.config = backbone.config
        self.tokenizer = backbone.tokenizer
        self.device = backbone.device
        self.dtype = backbone.dtype
        self.limits = limits or Limits()
        self.parts = parts  # how parts of fixed shape run
        self._reader: MemoryReader | None = None

    @property
    @torch.inference_mode()
    def attention(self) -> str:
        """The names of the kernels that the attention over memory runs on."""
        return self.reader_of(self.network.grounding).kernels.name

    def reader_of(self, grounding: GroundingNetwork) -> MemoryReader:
        """Return the attention over memory; its tables are made once for all videos."""
        if self._reader is None or self._reader.wanted != grounding.attention:
            self._reader = MemoryReader(grounding)
        return self._reader

    @torch.inference_mode()
    def segment(
        self,
        frames: Frames | FrameFeatures,
        sentences: Sequence[str],
        settings: Settings = DEFAULTS,
        *,
        answers: Sequence[str] | None = None,
    ) -> list[Answer]:
        """Segment what each sentence refers to.

        Parameters
        ----------
        frames
            uint8 RGB of shape (T, H, W, 3), or a list of frames (H, W, 3); or what `watch` made of
            a video, so that several calls share it.
        sentences
            The referring expressions, as they stand in the dataset. What looks like a special token
            in one is read as text.
        settings
            Procedure, key frames and all other choices.
        answers
            Texts to force token by token instead of the model's own, one for each sentence.

        Raises InputError when the arguments contradict the checkpoint or each other, and when
        values arise that are no finite numbers, naming the module.
        """
        with self._video(frames) as video:
            replies = self.ask(
                video.loader, sentences, settings, answers=answers,
                meanwhile=partial(self.begin, video, settings),
            )  # fmt: skip
            return self.ground(video, replies, settings)

    @torch.inference_mode()
    def begin(self, video: FrameFeatures, settings: Settings = DEFAULTS) -> None:
        """Begin with the image features that `ground` will ask for, before anything is asked.

        A GPU encodes some of them beside the language model, which leaves it half idle.
        """
        self._refuse_contradictions(settings)
        steps = PROCEDURES[settings.procedure].steps(video.loader.shape[0], settings)
        video.begin(step.frame for step in steps)

    @torch.inference_mode()
    def ask(
        self, loader: FrameLoader, sentences: Sequence[str], settings: Settings = DEFAULTS, *,
        answers: Sequence[str] | None = None, kept: KeptImages | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[Reply]:  # fmt: skip
        """Let the language model answer: the first half of `segment`, arguments as there.

        `kept` holds what an equal vision encoder made of this video's images, so that calls share
        it; `meanwhile` launches what a GPU can do beside it. Of the settings, replies hang on what
        `asked_alike` (alike.py) returns, and no more.
        """
        procedure = PROCEDURES[settings.procedure]
        self._refuse_contradictions(settings)
        if isinstance(sentences, str):  # it would be as many sentences as it has letters
            raise InputError(f"sentences must be a list; for one: [{sentences!r}]")
        if answers is not None and len(answers) != len(sentences):
            raise InputError(f"{len(answers)} answers for {len(sentences)} sentences")
        if not sentences:
            return []
        images = procedure.images(loader.shape[0], settings)
        say = partial(
            make_prompts, self.backbone, sentences, len(images), loader.shape[1:], settings
        )
        prompts = say(procedure.question)
        asked = say(existence_question) if settings.ask else []
        seen = self.backbone.look(loader, images, settings)
        if meanwhile is not None:
            meanwhile()
        return self._numbers(partial(
            answer_all, self.backbone, seen, prompts, asked, answers=answers, kept=kept,
            max_new_tokens=settings.max_new_tokens, at_once=self.limits.sentences_at_once,
        ))  # fmt: skip

    @torch.inference_mode()
    def ground(
        self, video: FrameFeatures, replies: Sequence[Reply], settings: Settings = DEFAULTS
    ) -> list[Answer]:
        """Find the masks of replies in every frame: the second half of `segment`.

        The replies may be those to other settings: all whose `asked_alike` is equal.
        """
        self._refuse_contradictions(settings)
        video.join()
        return self._numbers(partial(self._find, video, replies, settings))

    def _numbers(self, run: Callable[[], Result]) -> Result:
        """Run once; where NaN or infinity comes out, once more to name the module in an error."""
        try:
            return run()
        except NotFinite as error:
            with self.parts.paused():
                where = first_not_finite(self.network, run) or str(error)
        raise InputError(
            f"in {self.dtype}, {where} is NaN or infinite, so no mask means anything. The weights "
            'were finite when they were read: try dtype = "float32" in [compute]; if it stays so, '
            "the checkpoint is damaged or overflows: fetch it again, or take another"
        )

    def _find(
        self, video: FrameFeatures, replies: Sequence[Reply], settings: Settings
    ) -> list[Answer]:
        procedure, shape = PROCEDURES[settings.procedure], video.loader.shape
        owners, embeddings = embed_objects(self.backbone, replies, procedure, settings)
        sizes = even_groups(len(owners), self.limits.objects_at_once)
        groups = torch.split(embeddings, sizes) if sizes else ()
        new_tracker = partial(
            Tracker, self.network.grounding, procedure.policy, frame_size=shape[1:],
            approximation=settings.approximation, make_reader=self.reader_of, parts=self.parts,
        )  # fmt: skip
        steps = procedure.steps(shape[0], settings)
        found = follow(video, steps, groups, new_tracker, self.upsample)
        return [
            Answer(
                self.tokenizer.decode(reply.ids).strip(), masks, len(reply.seg_states),
                p_yes=reply.p_yes, confidence=confidence,
            )
            for reply, (masks, confidence) in zip(
                replies, join_objects(shape, owners, found, len(replies)), strict=True
            )
        ]  # fmt: skip

    def watch(self, loader: FrameLoader, keeping: Keeping | None = None) -> FrameFeatures:
        """Return a video whose image features are computed when they are asked for, and kept.

        Any model with an equal image encoder may read it.
        """
        return FrameFeatures(
            self.network.grounding, loader, self.device, self.dtype, self.limits.images_at_once,
            keeping, self.parts,
        )  # fmt: skip

    @contextmanager
    def _video(self, frames: Frames | FrameFeatures) -> Iterator[FrameFeatures]:
        if isinstance(frames, FrameFeatures):
            yield frames
            return
        frames = np.asarray(frames)
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not len(frames):
            raise InputError(
                f"frames must be uint8 of shape (T, H, W, 3), not {frames.dtype} {frames.shape}"
            )
        with (
            ThreadPoolExecutor(RESIZERS) as pool,
            closing(self.watch(FrameLoader(frames.__getitem__, frames.shape[:3], pool))) as video,
        ):
            yield video

    def _refuse_contradictions(self, settings: Settings) -> None:
        faults = [
            *idle_faults(settings),
            *self.backbone.faults(settings),
            *decoder_faults(settings.procedure, has_tuned_decoder=self.config.has_tuned_decoder),
        ]
        if faults:
            raise FaultyInput("These settings of Sa2VA have faults:", faults)

    def upsample(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Enlarge mask logits (B, 1, 4S, 4S) to the frame."""
        return enlarge(logits, self.network.grounding.config.image_size, size)
