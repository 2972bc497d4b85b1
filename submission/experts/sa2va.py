"""An expert that is one configuration of Sa2VA, from a checkpoint."""

import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field

from submission.code_digest import prediction_code
from submission.cost.estimate import VALUE_BYTES
from submission.cost.released import KNOWN, config_json
from submission.dataset.records import Expression, Split, Video
from submission.errors import Fault, InputError
from submission.experts.expert import EVERYTHING, Expert, Predictions, Resources, Tools
from submission.experts.opened_sa2va import checkpoint_faults
from submission.experts.sa2va_cost import Cost
from submission.experts.selected_frames import SelectedFrames
from submission.files.strict_json import read_object
from submission.files.user_paths import expand
from submission.masks.store import CONFIDENCE_DIGITS, Prediction
from submission.masks.track import Track
from submission.models.sa2va.images import image_requests
from submission.models.sa2va.internvl.prompt import TEMPLATES
from submission.models.sa2va.procedures import (
    PROCEDURES,
    asked_alike,
    grounded_alike,
    idle_faults,
    misfit,
)
from submission.models.sa2va.settings import QWEN_VL_ONLY, Choices, presence_faults
from submission.models.sa2va.settings import Settings as CallSettings
from submission.models.sa2va.work import ANSWERS, PREFIX, VISION
from submission.models.sam2.sizes import read_grounding
from submission.models.workload import AtOnce, Clip, Stages
from submission.video.session import VideoSession
from submission.video.transforms import FrameRequest, Squash
from submission.weights.hashes import checkpoint_files, hash_files
from submission.weights.sizes import in_words
from submission.weights.tensors import IMAGE_ENCODER, VISION_ENCODER, hash_tensors, loaded_bytes

if TYPE_CHECKING:
    from submission.models.sa2va.answer import Answer
    from submission.models.sa2va.kept_images import KeptImages
    from submission.models.sa2va.language import Reply
    from submission.models.sa2va.model import Sa2VA
    from submission.models.sam2.image_features import FrameFeatures

P_YES_DIGITS = 9  # a sure model's are close to 0 and 1
CONFIG_BYTES = 1 << 24  # of a config.json; released ones have 6 kB
Read = TypeVar("Read")
INT8 = 'set quantize = "int8" for it (an approximation, docs/engine.md)'


@dataclass(frozen=True, kw_only=True)
class Settings(Choices):
    """The keys of its [[expert]], beside name, kind and weight: those of a call, and the model's.

    Raises FaultyInput with everything that is wrong in them, and with what would do nothing.
    """

    checkpoint: Annotated[str, Field(min_length=1)]  # a folder, or a name in weights.lock
    sam2: str = ""  # SAM 2.0 large beside a Sa2VA checkpoint, for a procedure that needs both
    quantize: Literal["none", "int8"] = "none"  # approximation: the language model in eight bits

    template: str = ""  # the chat template of a checkpoint whose config.json states none
    # mode "q_frame": a JSON file with 100 frames for each expression (selected_frames.py)
    selected_frames: Annotated[str, Field(min_length=1)] | None = None

    def call(self, selected: tuple[int, ...] | None = None) -> CallSettings:
        """What the model is called with, for expressions with these selected frames."""
        chosen = {item.name: getattr(self, item.name) for item in fields(Choices)}
        return CallSettings(**chosen, selected_frames=selected)

    def _faults(self) -> Iterator[Fault]:
        yield from super()._faults()
        if self.template and self.template not in TEMPLATES:
            known = ", ".join(TEMPLATES)
            yield Fault("template", f'it is "{self.template}"; known: {known}')
        if self.procedure not in PROCEDURES:
            return
        yield from idle_faults(self)
        yield from presence_faults(self.mode, is_given=self.selected_frames is not None)
        if self.sam2 and not PROCEDURES[self.procedure].policy.needs_original_decoder:
            other = next(n for n, p in PROCEDURES.items() if p.policy.needs_original_decoder)
            yield Fault("sam2", f'it has no effect with procedure "{self.procedure}": drop it, or '
                        f'set procedure = "{other}"')  # fmt: skip

    @property
    def approximations(self) -> str:
        """How it differs from the model as it was trained, in words; empty for not at all."""
        seen = []
        if self.nearest_prompts:
            seen.append(f"the nearest {self.nearest_prompts} of the prompted frames")
        if self.memory_stride > 1:
            seen.append(f"recent memory maps in steps of {self.memory_stride} frames")
        words = [f"tracked frames see only {' and '.join(seen)}"] if seen else []
        if self.quantize == "int8":
            words.append("weights of the language model are rounded to 8 bits")
        return "; ".join(words)


def build(name: str, settings: Settings, tools: Tools) -> Expert:
    """Build one; experts of one checkpoint share the model that can do what any of them needs."""
    same = [
        entry.settings.sam2
        for entry in tools.entries
        if isinstance(entry.settings, Settings)
        and entry.settings.checkpoint == settings.checkpoint
        and entry.settings.quantize == settings.quantize
        and entry.settings.template == settings.template
    ]
    return Sa2VAExpert(name, settings, tools, settings.sam2 or max(same, default=""))


class Sa2VAExpert(Expert):
    """One configuration of Sa2VA; its model is loaded with the SAM 2 weights that `sam2` names."""

    def __init__(self, name: str, settings: Settings, tools: Tools, sam2: str = "") -> None:
        self.name = name
        self.settings = settings
        chosen = settings.selected_frames
        self.selected = SelectedFrames(tools.folder / expand(chosen)) if chosen else None
        self.procedure = PROCEDURES[settings.procedure]
        self.tools = tools
        self.sam2 = sam2
        self._ran_on = ""

    # --- what it does ----------------------------------------------------------------------------
    def identity(self) -> dict[str, Any]:
        """Settings without paths, hashes of all files, precision, model code and libraries."""
        own = [self.tools.checkpoints.find_sam2(self.settings.sam2)] if self.settings.sam2 else []
        files = hash_files(
            [*checkpoint_files(self._folder), *own],
            lambda file: self.tools.reporter.detail(f"hashing {file}"),
        )
        settings = asdict(self.settings)
        for path_key in ("checkpoint", "sam2", "selected_frames"):
            del settings[path_key]
        if not self.settings.ask:
            del settings["ask"]  # predictions of before it existed are the same ones
        for item in fields(Choices):  # and so for these
            if item.name in QWEN_VL_ONLY and settings[item.name] == item.default:
                del settings[item.name]
        return {
            "settings": settings,
            "files": files,
            "dtype": self.tools.compute.dtype,
            "model_code": prediction_code(__name__),
            **self._selection(),
            "libraries": {name: version(name) for name in ("sam2", "torch", "transformers")},
        }

    def _selection(self) -> dict[str, str]:
        if self.selected is None:
            return {}
        return {"selected_frames": hash_files([self.selected.path])[self.selected.path.name]}

    def faults(self, split: Split) -> Sequence[Fault]:
        """What is wrong with selected frames, checkpoint, settings and lengths of sentences."""
        if self.selected and (faults := self.selected.faults(split.videos)):
            return faults
        settings = self.settings
        return list(checkpoint_faults(
            self.tools.checkpoints, settings.checkpoint, self.sam2, settings.template, split,
            self._calls,
        ))  # fmt: skip

    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        """Key frames for the language model, and all frames for SAM 2, prompted ones first."""
        length = len(video.frame_names)
        shown: list[FrameRequest] = []
        looked_at: dict[int, None] = {}
        for call, _ in self._calls(video):
            shown += self._image_requests(self.procedure.images(length, call), call)
            looked_at |= dict.fromkeys(step.frame for step in self.procedure.steps(length, call))
        whole = FrameRequest(tuple(looked_at), Squash(read_grounding(self._values).image_size))
        return (*dict.fromkeys(shown), whole)

    def _image_requests(
        self, images: Sequence[tuple[int, ...]], call: CallSettings
    ) -> tuple[FrameRequest, ...]:
        try:
            return image_requests(self._values, images, call)
        except KeyError as error:
            where = f"{self.settings.checkpoint}: config.json"
            raise InputError(f"{where}: the key {error} is missing; fetch it again") from None

    def predict(self, video: Video, session: VideoSession) -> Predictions:
        """Answer all expressions of a video at once, or those at once that see the same frames."""
        calls = self._calls(video)
        answers: dict[str, tuple[Answer, list[int]]] = {}
        for call, asked in calls:
            sentences = [expression.sentence for expression in asked]
            found = self._segment(session, sentences, call, video.name, several=len(calls) > 1)
            shown = self._shown(video, call)
            answers |= {e.id: (one, shown) for e, one in zip(asked, found, strict=True)}
        return self._encode(video, answers)

    def _calls(self, video: Video) -> list[tuple[CallSettings, list[Expression]]]:
        """The expressions that can be answered together, each group with its settings."""
        if self.selected is None:
            return [(self.settings.call(), list(video.expressions))]
        groups: dict[tuple[int, ...], list[Expression]] = {}
        for expression in video.expressions:
            groups.setdefault(self.selected.of(video, expression), []).append(expression)
        return [(self.settings.call(frames), asked) for frames, asked in groups.items()]

    def _encode(
        self, video: Video, answers: Mapping[str, tuple["Answer", list[int]]]
    ) -> Predictions:
        for expression in video.expressions:
            answer, shown = answers[expression.id]
            track = Track.encode_packed(answer.masks.bits, answer.masks.width)
            details = {
                "text": answer.text,
                "key_frames": shown,
                "num_seg": answer.num_seg,
                "confidence": [
                    None if sure is None else round(sure, CONFIDENCE_DIGITS)
                    for sure in answer.confidence
                ],
            }
            if answer.p_yes is not None:
                details["p_yes"] = round(answer.p_yes, P_YES_DIGITS)
            yield expression, Prediction(expression.sentence, track, details)

    def _shown(self, video: Video, call: CallSettings) -> list[int]:
        """The frames that the language model sees, in order of time."""
        images = self.procedure.images(len(video.frame_names), call)
        return sorted({time for image in images for time in image})

    def _segment(
        self, session: VideoSession, sentences: list[str], call: CallSettings, video: str, *,
        several: bool,
    ) -> list["Answer"]:  # fmt: skip
        """Run the model; when a GPU runs out of memory, go on with smaller batches and say so."""
        import torch

        model = self.tools.models.get(self._model_key, self._load)
        wanted = model.limits
        while True:
            try:
                features = self._features(session, model, several=several)
                replies = self._replies(session, model, sentences, call)
                answers = model.ground(features, replies, call)
                self._ran_on = model.attention
                if self.tools.compute.compile != "off":
                    self._ran_on += f"; compile {model.parts.words}"
                return answers
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
                self.tools.reporter.warn(
                    f"video {video}: out of GPU memory, going on with {limits}"
                )
            session.release()
            model.parts.forget()
            torch.cuda.empty_cache()  # outside the handler: the error holds on to tensors

    def _replies(
        self, session: VideoSession, model: "Sa2VA", sentences: list[str], call: CallSettings
    ) -> "list[Reply]":
        """What the language model says; asked once by all that show and ask it the same."""
        asked = asked_alike(session.shape[0], sentences, call)
        said = session.shared(
            ("replies", self._model_key, asked),
            lambda: _Said(
                model.ask(session.loader, sentences, call, kept=self._kept_images(session))
            ),
        )
        return said.replies

    def _features(self, session: VideoSession, model: "Sa2VA", *, several: bool) -> "FrameFeatures":
        """The video's image features: those of an equal image encoder where there are some."""
        from submission.models.sam2.image_features import Keeping

        keeping = Keeping(round(self.tools.compute.features_gb * 1e9), session.several or several)
        alone = self.tools.models.is_alone(self._model_key)
        encoder = self._model_key if alone else self._encoder
        return session.shared(
            ("sam2 image features", encoder, model.config.grounding),
            lambda: model.watch(session.loader, keeping),
        )

    def _kept_images(self, session: VideoSession) -> "KeptImages | None":
        """What an equal vision encoder made of the video's key frames, where others may ask too."""
        from submission.models.sa2va.kept_images import KeptImages

        if not session.several:
            return None
        encoder = self._model_key
        if not self.tools.models.is_alone(encoder):
            folder = self.tools.checkpoints.locate(self.settings.checkpoint)
            again = self.tools.checkpoints.hash_all
            encoder = hash_tensors(folder, VISION_ENCODER, again=again) or encoder
        budget = self.tools.compute.features_gb * 1e9
        return session.shared(("vision features", encoder), lambda: KeptImages(budget))

    def _load(self) -> "Sa2VA":
        from submission.models.sa2va.loading import load
        from submission.models.sa2va.model import Limits

        compute, quantize = self.tools.compute, self.settings.quantize
        limits = Limits(
            sentences_at_once=compute.sentences_at_once,
            objects_at_once=compute.objects_at_once,
            images_at_once=compute.images_on(compute.device),
        )
        narrow = ", the language model in int8" if quantize == "int8" else ""
        say = self.tools.reporter.detail
        say(f"loading {self._folder} on {compute.device} as {compute.dtype}{narrow}")
        size = in_words(self.resources().weights)
        with self.tools.reporter.inside(f"loading {self._folder.name}", size):
            model = load(
                self._folder, compute.device, compute.dtype, limits=limits, quantize=quantize,
                sam2=self.tools.checkpoints.find_sam2(self.sam2) if self.sam2 else None,
                attention=compute.attention, compile=compute.compile,
                template=self.settings.template,
            )  # fmt: skip
        say(f"memory attention runs on {model.attention}")
        return model

    # --- what is said of it ----------------------------------------------------------------------
    def summary(self, videos: Sequence[Video]) -> str:
        """How many key frames the language model reads."""
        calls = ((video, call) for video in videos for call, _ in self._calls(video))
        return f"{sum(len(self._shown(video, call)) for video, call in calls)} key frames"

    def warnings(self) -> tuple[str, ...]:
        words = self.settings.approximations
        try:
            model_type = self._values.get("model_type")
        except InputError:  # told when the checkpoint is opened
            model_type = None
        found = (
            misfit(self.settings.procedure, model_type),
            f"is an approximation: {words}" if words else "",
        )
        return tuple(filter(None, found))

    def checkpoints(self) -> tuple[str, ...]:
        named = (self.settings.checkpoint, self.settings.sam2)
        return tuple(name for name in named if name)

    def ran_on(self) -> str:
        """The kernel of memory attention, and how parts ran that were to be recorded."""
        return self._ran_on

    # --- what it takes ---------------------------------------------------------------------------
    def resources(self) -> Resources:
        on_disk = self._loaded_bytes
        return Resources(
            self._model_key, on_disk or self._cost.weights(self._value_bytes),
            (lambda: self._encoder) if on_disk else (lambda: None),
        )  # fmt: skip

    def shares(self, video: Video) -> Mapping[str, Hashable]:
        """What the language model says, and with the same prompts and tracking everything."""
        length = len(video.frame_names)
        asked, found = [], []
        for call, expressions in self._calls(video):
            ids, sentences = zip(*((one.id, one.sentence) for one in expressions), strict=True)
            asked.append((ids, asked_alike(length, sentences, call)))
            found.append(grounded_alike(length, call))
        said = self._model_key, *asked
        return dict.fromkeys((VISION, PREFIX, ANSWERS), said) | {EVERYTHING: (said, *found)}

    def work(self, video: Video, at_once: AtOnce) -> Stages:
        return self._cost.ours(self._clips(video), at_once)

    def public_work(self, video: Video) -> Stages:
        return self._cost.public(self._clips(video))

    def memory(self, video: Video, at_once: AtOnce, gpu_bytes: float) -> float:
        weights = self._loaded_bytes or self._cost.weights(self._value_bytes)
        return self._cost.memory(
            self._clips(video), weights, at_once, gpu_bytes=gpu_bytes,
            value_bytes=self._value_bytes, records_parts=self.tools.compute.compile == "parts",
        )  # fmt: skip

    def _clips(self, video: Video) -> list[tuple[CallSettings, Clip]]:
        """What each call of the model is asked for."""
        return [
            (call, Clip(len(video.frame_names), len(asked), *video.size))
            for call, asked in self._calls(video)
        ]

    def smaller(self, videos: Sequence[Video]) -> Iterator[Iterator[tuple[str, Expert]]]:
        longest = max((len(video.frame_names) for video in videos), default=0)
        fewer = range(min(self.settings.frames, longest) - 1, 0, -1)
        unread = self.procedure.unread
        if "frames" not in unread:
            yield ((f"set frames = {n} for it", self._with(frames=n)) for n in fewer)
        if self.settings.quantize == "none":
            yield iter([(INT8, self._with(quantize="int8"))])

    def _with(self, **changes: Any) -> Expert:
        return Sa2VAExpert(self.name, replace(self.settings, **changes), self.tools, self.sam2)

    # --- what it is made of ----------------------------------------------------------------------
    @cached_property
    def _folder(self) -> Path:
        return self.tools.checkpoints.find(self.settings.checkpoint)

    @cached_property
    def _model_key(self) -> str:
        folder = self.tools.checkpoints.locate(self.settings.checkpoint)
        return f"{folder} {self.sam2} {self.settings.quantize} {self.settings.template}"

    @cached_property
    def _encoder(self) -> str:
        """Digest of the image encoder's weights; the folder where it has none of that name."""
        folder = self.tools.checkpoints.locate(self.settings.checkpoint)
        again = self.tools.checkpoints.hash_all
        return hash_tensors(folder, IMAGE_ENCODER, again=again) or str(folder)

    @cached_property
    def _values(self) -> Mapping[str, Any]:
        """The content of config.json."""
        return self._configured(
            lambda folder: read_object(folder / "config.json", most=CONFIG_BYTES), dict
        )

    @cached_property
    def _cost(self) -> Cost:
        where = f"{self.settings.checkpoint}: config.json"
        return Cost(self._values, where, self.procedure, self.settings.quantize)

    @cached_property
    def _loaded_bytes(self) -> float:
        """Of the weights where they are on disk, else 0."""
        with suppress(InputError):  # a name that no lock has
            folder = self.tools.checkpoints.locate(self.settings.checkpoint)
            return loaded_bytes(folder, self._value_bytes, self.settings.quantize)
        return 0

    def _configured(
        self, read: Callable[[Path], Read], take: Callable[[dict[str, Any]], Read]
    ) -> Read:
        """Read from the folder, or take the table of released sizes before it is fetched."""
        name, finder = self.settings.checkpoint, self.tools.checkpoints
        try:
            return read(finder.locate(name))
        except InputError as error:
            if name in KNOWN:
                return take(config_json(name))
            if finder.is_locked(name):
                raise InputError(f"{error}; run {finder.command('fetch', name)}") from error
            raise

    @property
    def _value_bytes(self) -> int:
        """Of one weight; "auto" is taken as on a GPU that has bfloat16."""
        precision = self.tools.compute.dtype
        return VALUE_BYTES["float32" if precision == "float32" else "bfloat16"]


@dataclass(frozen=True)
class _Said:
    """Replies of the language model in a session."""

    replies: "list[Reply]"

    def close(self) -> None:
        self.replies.clear()
