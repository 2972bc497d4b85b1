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
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from submission.errors import FaultyInput, InputError
from submission.models.finite import FiniteOutputs, NotFinite, first_not_finite
from submission.models.mask_packing import MaskStack, enlarge
from submission.models.sa2va import language
from submission.models.sa2va.answer import Answer, Confidence, PackedMasks
from submission.models.sa2va.backbone import Backbone, Prompt
from submission.models.sa2va.kept_images import KeptImages
from submission.models.sa2va.procedures import (
    PROCEDURES,
    Procedure,
    Step,
    decoder_faults,
    idle_faults,
)
from submission.models.sa2va.prompts import make_prompts
from submission.models.sa2va.questions import existence_question
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.yes_or_no import odds_of_yes
from submission.models.sam2.fixed_parts import EAGER, FixedParts
from submission.models.sam2.image_features import FrameFeatures, Keeping
from submission.models.sam2.memory_attention import MemoryReader
from submission.models.sam2.network import GroundingNetwork
from submission.models.sam2.tracker import Found, Tracker
from submission.models.workload import even_groups
from submission.video.frame_loader import FrameLoader

DEFAULTS = Settings()
Result = TypeVar("Result")
# Threads that resize the frames of an array: Pillow works outside the interpreter lock.
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
RESIZERS = min(16, CORES)
Frames = NDArray[np.uint8]  # (T, H, W, 3) RGB


@dataclass(frozen=True)
class Limits:
    """How much goes through the network at once: bounds memory, not what is computed."""

    sentences_at_once: int = 64  # packed behind one prefix
    objects_at_once: int = 16  # tracked side by side
    images_at_once: int = 1  # in one pass of SAM 2's image encoder

    def halved_for(self, sentences: int, objects: int, frames: int) -> "Limits | None":
        """Return half of everything, for a GPU that ran out of memory over such a video.

        Halves again while that changes nothing for the video; None where nothing is left to halve.
        """
        smaller, there = astuple(self), (sentences, objects, frames)
        used = _used(smaller, there)
        while _used(smaller, there) == used:
            if max(used) <= 1:
                return None
            smaller = tuple(max(1, value // 2) for value in smaller)
        return Limits(*smaller)


def _used(limits: tuple[int, ...], there: tuple[int, ...]) -> list[int]:
    return [min(pair) for pair in zip(limits, there, strict=True)]


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
        kept: KeptImages | None = None,
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
        kept
            What an equal vision encoder made of this video's images, so that calls share it.

        Raises InputError when the arguments contradict the checkpoint or each other, and when
        values arise that are no finite numbers, naming the module.
        """
        with self._video(frames) as video:
            replies = self.ask(
                video.loader, sentences, settings, answers=answers, kept=kept,
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
    ) -> list[language.Reply]:  # fmt: skip
        """Let the language model answer: the first half of `segment`, arguments as there.

        `meanwhile` launches what a GPU can do beside it. Of the settings, replies hang on what
        `asked_alike` (alike.py) returns, and no more.
        """
        procedure = PROCEDURES[settings.procedure]
        self._refuse_contradictions(settings)
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
        return self._numbers(
            partial(self._answer, seen, prompts, asked, answers, settings.max_new_tokens, kept)
        )

    @torch.inference_mode()
    def ground(
        self, video: FrameFeatures, replies: Sequence[language.Reply], settings: Settings = DEFAULTS
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
        self, video: FrameFeatures, replies: Sequence[language.Reply], settings: Settings
    ) -> list[Answer]:
        procedure, shape = PROCEDURES[settings.procedure], video.loader.shape
        owners, embeddings = self._embed_segs(replies, procedure, settings)
        new_tracker = partial(
            Tracker, self.network.grounding, procedure.policy, frame_size=shape[1:],
            approximation=settings.approximation, make_reader=self.reader_of, parts=self.parts,
        )  # fmt: skip
        found = self._ground(video, procedure.steps(shape[0], settings), embeddings, new_tracker)
        return self._join(shape, replies, owners, found)

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
        with ThreadPoolExecutor(RESIZERS) as pool:
            yield self.watch(FrameLoader(frames.__getitem__, frames.shape[:3], pool))

    def _refuse_contradictions(self, settings: Settings) -> None:
        faults = [
            *idle_faults(settings),
            *self.backbone.faults(settings),
            *decoder_faults(settings.procedure, has_tuned_decoder=self.config.has_tuned_decoder),
        ]
        if faults:
            raise FaultyInput("These settings of Sa2VA have faults:", faults)

    def _answer(
        self, images: Frames, prompts: Sequence[Prompt], asked: Sequence[Prompt],
        answers: Sequence[str] | None, max_new_tokens: int, kept: KeptImages | None,
    ) -> list[language.Reply]:  # fmt: skip
        """Show the images and ask every question; the cache ends with this, before tracking.

        `asked` are the yes/no questions: one for each of `prompts`, or none at all.
        """
        prefix = self.backbone.read_images(images, prompts[0].ids[: prompts[0].shared], kept)
        left = self.backbone.context - max(len(prompt.ids) for prompt in prompts)
        decoding = language.Decoding(
            seg_id=self.backbone.seg_id,
            eos_id=self.tokenizer.eos_id,
            max_new_tokens=min(max_new_tokens, left),
            has_stopped=self.backbone.has_stopped,
        )
        replies: list[language.Reply] = []
        for start in range(0, len(prompts), self.limits.sentences_at_once):
            part = slice(start, start + self.limits.sentences_at_once)
            questions = [prompt.question for prompt in prompts[part]]
            forced = None
            if answers is not None:
                forced = [self.tokenizer.encode_answer(text) for text in answers[part]]
            replies += language.answer(self.backbone.language, prefix, questions, decoding, forced)
            if asked:
                judged = [prompt.question for prompt in asked[part]]
                odds = odds_of_yes(self.backbone.language, self.tokenizer, prefix, judged)
                for reply, value in zip(replies[part], odds, strict=True):
                    reply.yes_odds = value
        return replies

    def _embed_segs(
        self, replies: Sequence[language.Reply], procedure: Procedure, settings: Settings
    ) -> tuple[list[int], Tensor]:
        """Language embeddings (B, K, C) of the objects, and whose sentence each is of.

        K is how many embeddings an object has; a step of the procedure says which prompts.
        """
        states: list[Tensor] = []
        owners: list[int] = []
        for index, reply in enumerate(replies):
            for segs in procedure.objects(len(reply.seg_states), settings):
                states += [reply.seg_states[seg] for seg in segs]
                owners.append(index)
        if not states:
            return [], torch.empty(0)
        embeddings = self.network.seg_projector(
            self.backbone.for_masks(torch.stack(states), settings)
        )
        return owners, embeddings.unflatten(0, (len(owners), -1))

    def _ground(
        self, video: FrameFeatures, steps: Sequence[Step], embeddings: Tensor,
        new_tracker: Callable[[], Tracker],
    ) -> list[tuple[PackedMasks, Confidence]]:  # fmt: skip
        """Prompt frames, track others, and keep each frame's masks as bits, and the confidence.

        Objects go through in groups; the features of a frame are computed for the first group and
        kept for the others.
        """
        prompts: dict[int, list[Step]] = {}
        for step in steps:
            if step.prompt is not None:
                prompts.setdefault(step.frame, []).append(step)
        tracked = [step.frame for step in steps if step.prompt is None]
        size = video.loader.shape[1:]
        sizes = even_groups(len(embeddings), self.limits.objects_at_once)
        groups = torch.split(embeddings, sizes) if sizes else ()
        results: list[tuple[PackedMasks, Confidence]] = []
        for number, group in enumerate(groups, 1):
            again = number < len(groups)
            drawn = MaskStack(len(group), video.loader.shape)
            sure: dict[int, Tensor] = {}  # (B,) by frame; stays on the device until all are there
            tracker = new_tracker()
            finite = FiniteOutputs()
            for time, seen in video.each(list(prompts), again=again):
                found = _mean([
                    (tracker.prompt(time, seen, group[:, step.prompt], remember=bool(tracked)),
                     step.times)
                    for step in prompts[time]
                ])  # fmt: skip
                drawn.draw(time, self.upsample(finite.look(found.logits), size))
                sure[time] = found.confidence
            for time, seen in video.each(tracked, again=again):
                found = tracker.track(time, seen)
                drawn.draw(time, self.upsample(finite.look(found.logits), size))
                sure[time] = found.confidence
            confidences = finite.look(torch.stack(list(sure.values()), dim=1))  # (B, frames)
            finite.refuse("a logit of a mask")
            for masks, known in zip(drawn.masks(), confidences.tolist(), strict=True):
                by_time = dict(zip(sure, known, strict=True))
                results.append((masks, tuple(map(by_time.get, range(len(masks))))))
        return results

    def upsample(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Enlarge mask logits (B, 1, 4S, 4S) to the frame."""
        return enlarge(logits, self.network.grounding.config.image_size, size)

    def _join(
        self, shape: tuple[int, int, int], replies: Sequence[language.Reply], owners: Sequence[int],
        found: Sequence[tuple[PackedMasks, Confidence]],
    ) -> list[Answer]:  # fmt: skip
        joined = [PackedMasks.empty(shape) for _ in replies]
        sure: list[list[Confidence]] = [[] for _ in replies]
        for owner, (masks, confidence) in zip(owners, found, strict=True):
            joined[owner] = joined[owner].union(masks)
            sure[owner].append(confidence)
        return [
            Answer(
                self.tokenizer.decode(reply.ids).strip(), masks, len(reply.seg_states),
                p_yes=reply.p_yes, confidence=_mean_confidence(several, shape[0]),
            )
            for reply, masks, several in zip(replies, joined, sure, strict=True)
        ]  # fmt: skip


def _mean(found: Sequence[tuple[Found, int]]) -> Found:
    """The mean of what was found, each counted as often as it is said; of one, itself."""
    if len(found) == 1:
        return found[0][0]
    total = sum(times for _, times in found)
    return Found(
        torch.stack([one.logits * (times / total) for one, times in found]).sum(dim=0),
        torch.stack([one.confidence * (times / total) for one, times in found]).sum(dim=0),
    )


def _mean_confidence(objects: Sequence[Confidence], length: int) -> Confidence:
    """The mean over objects, which are all looked for in the same frames; without one, None."""
    if not objects:
        return (None,) * length
    return tuple(
        None if None in frame else sum(filter(None, frame)) / len(frame)
        for frame in zip(*objects, strict=True)
    )
