"""Sa2VA: a video and all its sentences in, an answer with masks for each sentence out.

The work is shared per video: the key frames pass the vision encoder once, the language model reads
them once, SAM 2 encodes each frame once, and all objects are tracked side by side.

On a CPU the same call gives the same bytes. A different `sentences_at_once` or `objects_at_once`
changes the shapes of matrix products and with them the last bits of float32; a tracked mask can
then differ in single pixels, because memory is rounded to bfloat16 (tests bound this).
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from submission.errors import InputError
from submission.models.mask_packing import MaskStack
from submission.models.sa2va import language
from submission.models.sa2va.answer import Answer, PackedMasks
from submission.models.sa2va.internvl import prompt, vision
from submission.models.sa2va.internvl.config import Sa2VAConfig
from submission.models.sa2va.network import Network
from submission.models.sa2va.tokenizer import Tokenizer, special_ids
from submission.models.sam2.approximation import EXACT, Approximation
from submission.models.sam2.image_features import FrameFeatures, Keeping
from submission.models.sam2.memory_attention import kernel_of
from submission.models.sam2.tracker import Tracker
from submission.video.frame_loader import FrameLoader
from submission.video.sampling import PromptFrames, Sampling, key_frames, prompted_frames
from submission.video.transforms import FrameRequest, Squash

PROCEDURES = ("sa2va", "sa2va-i")
RESIZERS = 2  # threads; Pillow resizes outside the interpreter lock
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
    """A loaded model; `submission.model.load` makes one."""

    def __init__(
        self, network: Network, config: Sa2VAConfig, tokenizer: Tokenizer, device: torch.device,
        dtype: torch.dtype, limits: Limits | None = None,
    ) -> None:  # fmt: skip
        self.network = network
        self.config = config
        self.tokenizer = tokenizer
        self.device = device
        self.dtype = dtype
        self.limits = limits or Limits()
        self._special_ids = special_ids(tokenizer)

    @property
    @torch.inference_mode()
    def attention(self) -> str:
        """The name of the kernel that the attention over memory runs on."""
        return kernel_of(self.network.grounding).name

    @torch.inference_mode()
    def segment(
        self,
        frames: Frames | FrameFeatures,
        sentences: Sequence[str],
        *,
        procedure: str = "sa2va",
        sampling: Sampling = "uniform",
        num_frames: int = 5,
        prompt_frames: PromptFrames = "sampled",
        answers: Sequence[str] | None = None,
        seg: str = "first",
        max_new_tokens: int = 2048,
        approximation: Approximation = EXACT,
    ) -> list[Answer]:
        """Segment what each sentence refers to.

        Parameters
        ----------
        frames
            uint8 RGB of shape (T, H, W, 3), or a list of frames (H, W, 3); or what `watch` made of
            a video, so that several calls share it.
        sentences
            The referring expressions, as they stand in the dataset.
        procedure
            "sa2va", or "sa2va-i" (needs the second mask decoder).
        sampling, num_frames
            Key frames for the language model: "uniform" or "first", at most `num_frames`.
        prompt_frames
            Frames whose masks are prompted by language: the "sampled" key frames, or the "first".
        answers
            Texts to force token by token instead of the model's own, one for each sentence.
        seg
            With several [SEG] in an answer: "first" takes the first, "union" joins all masks.
        max_new_tokens
            Where an answer that does not end is cut off; the reference's value by default.
        approximation
            What tracked frames leave out of sight; nothing by default.

        Raises InputError when the arguments contradict the checkpoint or each other.
        """
        self._refuse_contradictions(sentences, procedure, seg, answers)
        if not sentences:
            return []
        with self._video(frames) as video:
            length = video.loader.shape[0]
            shown = key_frames(length, num_frames, sampling)
            prompted = prompted_frames(length, num_frames, sampling, prompt_frames)
            prompts = self._tokenize(sentences, len(shown), procedure)
            squares = video.loader.frames(FrameRequest(shown, Squash(self.config.image_size)))
            replies = self._answer(squares, prompts, answers, max_new_tokens)
            owners, embeddings = self._embed_segs(replies, seg)
            new_tracker = partial(
                Tracker, self.network.grounding, procedure=procedure,
                frame_size=video.loader.shape[1:], approximation=approximation,
            )  # fmt: skip
            masks = self._ground(video, prompted, embeddings, new_tracker)
            return self._join(video.loader.shape, replies, owners, masks)

    def watch(self, loader: FrameLoader, keeping: Keeping | None = None) -> FrameFeatures:
        """Return a video whose image features are computed when they are asked for, and kept.

        Any model with an equal image encoder may read it.
        """
        return FrameFeatures(
            self.network.grounding, loader, self.device, self.dtype, self.limits.images_at_once,
            keeping,
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

    def _refuse_contradictions(
        self, sentences: Sequence[str], procedure: str, seg: str, answers: Sequence[str] | None
    ) -> None:
        if procedure not in PROCEDURES:
            raise InputError(f"procedure is {procedure!r}; known: {', '.join(PROCEDURES)}")
        if procedure == "sa2va-i" and not self.config.has_tuned_decoder:
            raise InputError(
                "procedure sa2va-i needs a second mask decoder: take a Sa2VA-i checkpoint, or give "
                "the original SAM 2.0 large weights beside the Sa2VA one (sam2 = ... in the recipe)"
            )
        if seg not in ("first", "union"):
            raise InputError(f"seg is {seg!r}; known: first, union")
        if answers is not None and len(answers) != len(sentences):
            raise InputError(f"{len(answers)} answers for {len(sentences)} sentences")

    def _tokenize(
        self, sentences: Sequence[str], num_frames: int, procedure: str
    ) -> list[list[int]]:
        prompts = [
            self.tokenizer.encode(
                prompt.build_prompt(
                    self.config.template, sentence, num_frames, self.config.tokens_per_frame,
                    procedure,
                )
            )
            for sentence in sentences
        ]  # fmt: skip
        limit = int(self.config.llm.max_position_embeddings)
        longest = max(map(len, prompts))
        if longest >= limit:
            raise InputError(
                f"{num_frames} key frames make a prompt of {longest} tokens, more than the "
                f"{limit} this language model was trained for; set frames lower"
            )
        return prompts

    def _read_frames(self, squares: Frames, ids: Sequence[int]) -> language.Prefix:
        """Show the key frames to the language model: everything up to the last `</img>`."""
        pixels = vision.normalise(squares)
        tokens = self.network.vision(pixels.to(self.device, self.dtype))  # (M, P, C)
        start = torch.tensor(ids[: self._prefix_length(ids)], device=self.device)
        embeddings = self.network.language.get_input_embeddings()(start)
        context = start == self._special_ids[prompt.IMAGE_CONTEXT]
        embeddings[context] = tokens.flatten(0, 1).to(embeddings.dtype)
        return language.read_prefix(self.network.language, embeddings)

    def _prefix_length(self, ids: Sequence[int]) -> int:
        return len(ids) - list(reversed(ids)).index(self._special_ids[prompt.IMAGE_END])

    def _answer(
        self, squares: Frames, prompts: Sequence[Sequence[int]], answers: Sequence[str] | None,
        max_new_tokens: int,
    ) -> list[language.Reply]:  # fmt: skip
        """Show the key frames and ask every question; the cache ends with this, before tracking."""
        prefix = self._read_frames(squares, prompts[0])
        stop_words = prompt.TEMPLATES[self.config.template].stop_words
        room = int(self.config.llm.max_position_embeddings) - max(map(len, prompts))
        decoding = language.Decoding(
            seg_id=self._special_ids[prompt.SEG],
            eos_id=self.tokenizer.eos_id,
            max_new_tokens=min(max_new_tokens, room),
            has_stopped=lambda ids: prompt.ends_with_stop_word(
                self.tokenizer.decode(ids), stop_words
            ),
        )
        replies: list[language.Reply] = []
        for start in range(0, len(prompts), self.limits.sentences_at_once):
            part = slice(start, start + self.limits.sentences_at_once)
            questions = [ids[prefix.length :] for ids in prompts[part]]
            forced = None
            if answers is not None:
                forced = [self.tokenizer.encode_answer(text) for text in answers[part]]
            replies += language.answer(self.network.language, prefix, questions, decoding, forced)
        return replies

    def _embed_segs(self, replies: Sequence[language.Reply], seg: str) -> tuple[list[int], Tensor]:
        """Language embeddings (B, C) of the objects to track, and whose sentence each is of."""
        states: list[Tensor] = []
        owners: list[int] = []
        for index, reply in enumerate(replies):
            wanted = reply.seg_states[:1] if seg == "first" else reply.seg_states
            states += wanted
            owners += [index] * len(wanted)
        if not states:
            return [], torch.empty(0)
        return owners, self.network.seg_projector(torch.stack(states))

    def _ground(
        self, video: FrameFeatures, prompted: Sequence[int], embeddings: Tensor,
        new_tracker: Callable[[], Tracker],
    ) -> list[PackedMasks]:  # fmt: skip
        """Prompt the key frames, track the others, and keep each frame's masks as bits.

        Objects go through in groups; the features of a frame are computed for the first group and
        kept for the others.
        """
        length, size = video.loader.shape[0], video.loader.shape[1:]
        others = [time for time in range(length) if time not in set(prompted)]
        groups = torch.split(embeddings, self.limits.objects_at_once) if len(embeddings) else ()
        masks: list[PackedMasks] = []
        for number, group in enumerate(groups, 1):
            again = number < len(groups)
            drawn = MaskStack(len(group), video.loader.shape)
            tracker = new_tracker()
            for time, seen in video.each(prompted, again=again):
                drawn.draw(time, self.upsample(tracker.prompt(time, seen, group), size))
            for time, seen in video.each(others, again=again):
                drawn.draw(time, self.upsample(tracker.track(time, seen), size))
            masks += drawn.masks()
        return masks

    def upsample(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Enlarge mask logits (B, 1, 4S, 4S) to the frame, through SAM 2's square image.

        Two bilinear steps, because the reference has two; one would move boundaries.
        """
        side = self.network.grounding.config.image_size
        square = F.interpolate(logits, (side, side), mode="bilinear", align_corners=False)
        return F.interpolate(square, size, mode="bilinear", align_corners=False)

    def _join(
        self, shape: tuple[int, int, int], replies: Sequence[language.Reply], owners: Sequence[int],
        masks: Sequence[PackedMasks],
    ) -> list[Answer]:  # fmt: skip
        joined = [PackedMasks.empty(shape) for _ in replies]
        for owner, mask in zip(owners, masks, strict=True):
            joined[owner] = joined[owner].union(mask)
        return [
            Answer(self.tokenizer.decode(reply.ids).strip(), mask, len(reply.seg_states))
            for reply, mask in zip(replies, joined, strict=True)
        ]
