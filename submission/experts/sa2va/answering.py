"""Let a Sa2VA answer in a session: what equal experts have made is taken, a full GPU gets less."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from submission.errors import InputError
from submission.experts.expert import Tools
from submission.experts.out_of_memory import with_less
from submission.experts.sa2va.source import Source
from submission.models.sa2va.alike import asked_alike
from submission.models.sa2va.settings import Settings as CallSettings
from submission.video.session import VideoSession

if TYPE_CHECKING:
    from submission.models.sa2va.answer import Answer
    from submission.models.sa2va.kept_images import KeptImages
    from submission.models.sa2va.language import Reply
    from submission.models.sa2va.model import Sa2VA
    from submission.models.sam2.image_features import FrameFeatures


class Answering:
    """The model of one expert at work on one video after another."""

    def __init__(self, source: Source, tools: Tools) -> None:
        self.source = source
        self.tools = tools
        self.ran_on = ""  # the kernel of memory attention, and how recorded parts ran

    def segment(
        self, session: VideoSession, sentences: list[str], call: CallSettings, video: str, *,
        several: bool,
    ) -> list["Answer"]:  # fmt: skip
        """Run the model; when a GPU runs out of memory, go on with smaller batches and say so."""
        model = self.tools.models.get(self.source.model_key, self.source.load)
        wanted = model.limits

        def attempt() -> "list[Answer]":
            features = self._features(session, model, several=several)
            begin = partial(model.begin, features, call)
            replies = self._replies(session, model, sentences, call, begin)
            answers = model.ground(features, replies, call)
            self.ran_on = model.attention
            if self.tools.compute.compile != "off":
                self.ran_on += f"; compile {model.parts.words}"
            return answers

        def less() -> str:
            frames, height, width = session.shape
            objects = len(sentences) if self.source.settings.seg == "first" else sys.maxsize
            limits = model.limits.halved_for(len(sentences), objects, frames)
            if limits is None:
                model.limits = wanted  # the next video may well fit
                raise InputError(
                    f"the GPU's memory does not hold {frames} frames of {width} x {height} "
                    "even one at a time; set frames lower, or take a smaller checkpoint"
                )
            model.limits = limits
            return str(limits)

        def release() -> None:
            session.release()
            model.parts.forget()

        return with_less(attempt, less, release, video, self.tools.reporter)

    def _replies(
        self, session: VideoSession, model: "Sa2VA", sentences: list[str], call: CallSettings,
        meanwhile: Callable[[], None],
    ) -> "list[Reply]":  # fmt: skip
        """What the language model says; asked once by all that show and ask it the same."""

        def ask() -> _Said:
            kept = self._kept_images(session)
            return _Said(model.ask(session.loader, sentences, call, kept=kept, meanwhile=meanwhile))

        asked = asked_alike(session.shape[0], sentences, call)
        return session.shared(("replies", self.source.model_key, asked), ask).replies

    def _features(self, session: VideoSession, model: "Sa2VA", *, several: bool) -> "FrameFeatures":
        """The video's image features: those of an equal image encoder where there are some."""
        from submission.models.sam2.image_features import Keeping

        keeping = Keeping(round(self.tools.compute.features_gb * 1e9), session.several or several)
        alone = self.tools.models.is_alone(self.source.model_key)
        encoder = self.source.model_key if alone else self.source.image_encoder
        return session.shared(
            ("sam2 image features", encoder, model.config.grounding),
            lambda: model.watch(session.loader, keeping),
        )

    def _kept_images(self, session: VideoSession) -> "KeptImages | None":
        """What an equal vision encoder made of the video's key frames, where others may ask too."""
        from submission.models.sa2va.kept_images import KeptImages

        if not session.several:
            return None
        alone = self.tools.models.is_alone(self.source.model_key)
        encoder = self.source.model_key if alone else self.source.vision_encoder
        budget = self.tools.compute.features_gb * 1e9
        return session.shared(("vision features", encoder), lambda: KeptImages(budget))


@dataclass(frozen=True)
class _Said:
    """Replies of the language model in a session."""

    replies: "list[Reply]"

    def close(self) -> None:
        self.replies.clear()
