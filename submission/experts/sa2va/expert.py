"""An expert that is one configuration of Sa2VA, from a checkpoint."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from submission.code_digest import prediction_code
from submission.counted import counted
from submission.dataset.records import Expression, Split, Video
from submission.errors import Fault, InputError
from submission.experts.expert import EVERYTHING, Expert, Predictions, Resources, Tools
from submission.experts.sa2va.answering import Answering
from submission.experts.sa2va.cost import Cost
from submission.experts.sa2va.opened import checkpoint_faults
from submission.experts.sa2va.selected_frames import SelectedFrames
from submission.experts.sa2va.settings import Settings
from submission.experts.sa2va.source import Source
from submission.files.user_paths import expand
from submission.masks.store import CONFIDENCE_DIGITS, Prediction
from submission.masks.track import Track
from submission.models.sa2va.alike import asked_alike, grounded_alike
from submission.models.sa2va.config_file import complete
from submission.models.sa2va.procedures import PROCEDURES, misfit
from submission.models.sa2va.registry import image_requests, own_settings
from submission.models.sa2va.settings import Choices
from submission.models.sa2va.settings import Settings as CallSettings
from submission.models.sa2va.work import ANSWERS, PREFIX, VISION
from submission.models.sam2.sizes import read_grounding
from submission.models.single_file import sam2_file
from submission.models.workload import Clip, Limits, Stages
from submission.video.session import VideoSession
from submission.video.transforms import FrameRequest, Squash
from submission.weights.hashes import checkpoint_files, hash_files

if TYPE_CHECKING:
    from submission.models.sa2va.answer import Answer

P_YES_DIGITS = 9  # a sure model's are close to 0 and 1
INT8 = 'set quantize = "int8" for it (an approximation, docs/engine.md)'


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
        self.source = Source(settings, tools, sam2)
        self.answering = Answering(self.source, tools)

    # --- what it does ----------------------------------------------------------------------------
    def identity(self) -> dict[str, Any]:
        """Settings without paths, hashes of all files, precision, model code and libraries."""
        read = checkpoint_files(self.source.folder)
        if sam2 := self.settings.sam2:
            read.append(sam2_file(self.tools.checkpoints.find(sam2)))
        files = hash_files(read, lambda file: self.tools.reporter.detail(f"hashing {file}"))
        settings = asdict(self.settings)
        for path_key in ("checkpoint", "sam2", "selected_frames"):
            del settings[path_key]
        if not self.settings.ask:
            del settings["ask"]  # predictions of before it existed are the same ones
        for item in fields(Choices):  # and so for these
            if item.name in own_settings() and settings[item.name] == item.default:
                del settings[item.name]
        return {
            "settings": settings,
            "files": files,
            "dtype": self.tools.compute.dtype,
            "model_code": prediction_code(__name__, *self.source.kind.code),
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
            self.tools.checkpoints, settings.checkpoint, self.source.sam2, settings.template, split,
            self._calls,
        ))  # fmt: skip

    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        """Key frames for the language model, and all frames for SAM 2, prompted ones first."""
        length = len(video.frame_names)
        shown: list[FrameRequest] = []
        looked_at: dict[int, None] = {}
        for call, _ in self._calls(video):
            with complete(f"{self.settings.checkpoint}: config.json"):
                shown += image_requests(
                    self.source.values, self.procedure.images(length, call), call
                )
            looked_at |= dict.fromkeys(step.frame for step in self.procedure.steps(length, call))
        whole = FrameRequest(
            tuple(looked_at), Squash(read_grounding(self.source.values).image_size)
        )
        return (*dict.fromkeys(shown), whole)

    def predict(self, video: Video, session: VideoSession) -> Predictions:
        """Answer all expressions of a video at once, or those at once that see the same frames."""
        calls = self._calls(video)
        answers: dict[str, tuple[Answer, list[int]]] = {}
        for call, asked in calls:
            sentences = [expression.sentence for expression in asked]
            found = self.answering.segment(
                session, sentences, call, video.name, several=len(calls) > 1
            )
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

    # --- what is said of it ----------------------------------------------------------------------
    def summary(self, videos: Sequence[Video]) -> str:
        """How many key frames the language model reads."""
        calls = ((video, call) for video in videos for call, _ in self._calls(video))
        return counted(sum(len(self._shown(video, call)) for video, call in calls), "key frame")

    def warnings(self) -> tuple[str, ...]:
        words = self.settings.approximations
        try:
            model_type = self.source.values.get("model_type")
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
        return self.answering.ran_on

    # --- what it takes ---------------------------------------------------------------------------
    def resources(self) -> Resources:
        on_disk = self.source.loaded_bytes
        return Resources(
            self.source.model_key, on_disk or self._cost.weights(self.tools.compute.value_bytes),
            (lambda: self.source.image_encoder) if on_disk else (lambda: None),
        )  # fmt: skip

    def shares(self, video: Video) -> Mapping[str, Hashable]:
        """What the language model says, and with the same prompts and tracking everything."""
        length = len(video.frame_names)
        asked, found = [], []
        for call, expressions in self._calls(video):
            ids, sentences = zip(*((one.id, one.sentence) for one in expressions), strict=True)
            asked.append((ids, asked_alike(length, sentences, call)))
            found.append(grounded_alike(length, call))
        said = self.source.model_key, *asked
        return dict.fromkeys((VISION, PREFIX, ANSWERS), said) | {EVERYTHING: (said, *found)}

    def work(self, video: Video, limits: Limits) -> Stages:
        return self._cost.ours(self._clips(video), limits)

    def public_work(self, video: Video) -> Stages:
        return self._cost.public(self._clips(video))

    def memory(self, video: Video, limits: Limits, gpu_bytes: float) -> float:
        weights = self.source.loaded_bytes or self._cost.weights(self.tools.compute.value_bytes)
        return self._cost.memory(
            self._clips(video), weights, limits,
            gpu_bytes=gpu_bytes, value_bytes=self.tools.compute.value_bytes,
            records_parts=self.tools.compute.compile == "parts",
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
        return Sa2VAExpert(
            self.name, replace(self.settings, **changes), self.tools, self.source.sam2
        )

    @cached_property
    def _cost(self) -> Cost:
        where = f"{self.settings.checkpoint}: config.json"
        return Cost(self.source.values, where, self.procedure, self.settings.quantize)
