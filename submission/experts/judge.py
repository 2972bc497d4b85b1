"""A judge for the gate: a plain Qwen-VL asked whether a sentence's object is there; it has no vote.

It goes through the videos as any expert does, so it resumes, is planned and shows progress as they
do; but its answers are log-odds and no masks, and a recipe names it in [gate].
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from submission.code_digest import prediction_code
from submission.cost.released import PLAIN, config_json
from submission.dataset.records import Split, Video
from submission.errors import Fault, InputError
from submission.experts.count_memory import stages_of
from submission.experts.expert import Expert, Predictions, Resources, Tools
from submission.experts.opened import faults_of_opening
from submission.experts.out_of_memory import with_less
from submission.experts.sa2va.cost import Cost
from submission.gate.judge import EXISTENCE, Settings
from submission.masks.store import NO_MASKS, Prediction
from submission.masks.track import Track
from submission.models.sa2va.config_file import complete, read_values
from submission.models.sa2va.memory import judge_memory
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.questions import audit_questions, judges_question
from submission.models.sa2va.qwenvl.images import image_requests, nested
from submission.models.sa2va.settings import CELL
from submission.models.sa2va.settings import Settings as CallSettings
from submission.models.sa2va.work import judged
from submission.models.workload import Clip, Limits, Stages
from submission.video.sampling import key_frames
from submission.video.session import VideoSession
from submission.video.transforms import FrameRequest
from submission.weights.expected import ABOUT_BYTES
from submission.weights.hashes import checkpoint_files, hash_files, recall
from submission.weights.sizes import in_words
from submission.weights.tensors import loaded_bytes

if TYPE_CHECKING:
    from submission.models.sa2va.qwenvl.judge import Judge

ODDS_DIGITS = 6
ENLARGED_TO = 128 * CELL  # area of a frame; smaller ones are enlarged


def build(name: str, settings: Settings, tools: Tools) -> Expert:
    """Build one round of questions."""
    return JudgeExpert(name, settings, tools)


class JudgeExpert(Expert):
    """One round of questions to one judge."""

    def __init__(self, name: str, settings: Settings, tools: Tools) -> None:
        self.name = name
        self.settings = settings
        self.tools = tools
        self.questions = (
            {f"{EXISTENCE}_{part}": ask for part, ask in audit_questions().items()}
            if settings.audit
            else {EXISTENCE: judges_question}
        )

    # --- what it does ----------------------------------------------------------------------------
    def identity(self) -> dict[str, Any]:
        """Settings without the path, hashes of all files, precision, words, code and libraries.

        Raises InputError where these files are not of the judge that the gate was calibrated with.
        """
        settings = asdict(self.settings)
        del settings["checkpoint"], settings["expected"]
        files = hash_files(
            checkpoint_files(self._folder),
            lambda file: self.tools.reporter.detail(f"hashing {file}"),
        )
        if words := self._refusal(files):
            raise InputError(f"[gate] judge: {words}")
        return {
            **NO_MASKS,
            "settings": settings,
            "files": files,
            "dtype": self.tools.compute.dtype,
            "model_code": prediction_code(__name__),
            "libraries": {name: version(name) for name in ("torch", "transformers")},
        }

    def faults(self, split: Split) -> Sequence[Fault]:
        """What is wrong with its checkpoint, without values; one that is to come has no faults.

        That it is another than the gate's is seen here as far as hashes are remembered.
        """
        checkpoint = self.settings.checkpoint
        if wrong := faults_of_opening(self.tools.checkpoints, checkpoint, _open):
            return wrong
        folder = self.tools.checkpoints.openable(checkpoint)
        files = checkpoint_files(folder) if folder and self.settings.expected else ()
        known = {file.name: digest for file in files if (digest := recall(file))}
        return [Fault("[gate] judge", words)] if (words := self._refusal(known)) else []

    def _refusal(self, files: Mapping[str, str]) -> str:
        expected = self.settings.expected
        return expected.refusal(self.settings.checkpoint, files) if expected else ""

    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        """Its key frames, at the size that it sees."""
        images = [(time,) for time in self._shown(video)]
        with complete(f"{self.settings.checkpoint}: config.json"):
            return image_requests(self._values, images, self._call)

    def predict(self, video: Video, session: VideoSession) -> Predictions:
        """Ask everything about all expressions of a video behind one reading of its frames."""
        sentences = [expression.sentence for expression in video.expressions]
        asked = [ask(sentence) for sentence in sentences for ask in self.questions.values()]
        odds = iter(self._ask(video, session, asked))
        shown, nothing = list(self._shown(video)), Track.empty(video.size, len(video.frame_names))
        for expression in video.expressions:
            found = {name: round(next(odds), ODDS_DIGITS) for name in self.questions}
            details = {"odds": found, "key_frames": shown}
            yield expression, Prediction(expression.sentence, nothing, details)

    def _ask(self, video: Video, session: VideoSession, questions: Sequence[str]) -> list[float]:
        """Ask; when a GPU runs out of memory, go on with fewer questions at once and say so."""
        model = self.tools.models.get(self._model_key, self._load)
        at_once = self.tools.compute.sentences_at_once
        key = ("judge", self._model_key, self.settings.frames, self.settings.max_pixels)
        shown = self._shown(video)

        def attempt() -> list[float]:
            seen = session.shared(key, lambda: model.watch(session.loader, shown, self._call))
            return model.odds(seen, questions, at_once)

        def less() -> str:
            nonlocal at_once
            at_once = min(at_once, len(questions)) // 2
            if at_once == 0:
                raise InputError(
                    f"the GPU's memory does not hold what the judge makes of {len(shown)} frames; "
                    "set frames or max_pixels in [gate] lower, or take a smaller judge"
                )
            return f"{at_once} of {len(questions)} questions at once"

        return with_less(attempt, less, session.release, video.name, self.tools.reporter)

    @property
    def _call(self) -> CallSettings:
        """The settings of the backbone that count."""
        most = self.settings.max_pixels
        return CallSettings(min_pixels=min(ENLARGED_TO, most), max_pixels=most)

    def _shown(self, video: Video) -> tuple[int, ...]:
        return key_frames(len(video.frame_names), self.settings.frames, "uniform")

    def _load(self) -> "Judge":
        from submission.models.sa2va.qwenvl.judge import load_judge

        compute, reporter = self.tools.compute, self.tools.reporter
        reporter.detail(f"loading {self._folder} on {compute.device} as {compute.dtype}")
        size = in_words(self.resources().weights)
        with reporter.inside(f"loading {self._folder.name}", size):
            return load_judge(self._folder, compute.device, compute.dtype)

    # --- what is said of it ----------------------------------------------------------------------
    def summary(self, videos: Sequence[Video]) -> str:
        """How much it is asked, and how many frames it reads for that."""
        sentences = sum(len(video.expressions) for video in videos)
        frames = sum(len(self._shown(video)) for video in videos)
        count = len(self.questions) * sentences
        return f"{count} yes/no questions to {self.settings.checkpoint}, {frames} key frames"

    def checkpoints(self) -> tuple[str, ...]:
        return (self.settings.checkpoint,)

    # --- what it takes ---------------------------------------------------------------------------
    def resources(self) -> Resources:
        folder = self.tools.checkpoints.locate(self.settings.checkpoint)
        value_bytes = self.tools.compute.value_bytes
        weights: float = loaded_bytes(folder, value_bytes)
        if not weights:  # released in two bytes a value
            weights = ABOUT_BYTES.get(self.settings.checkpoint, 0) * value_bytes / 2
        return Resources(self._model_key, weights)

    def work(self, video: Video, limits: Limits) -> Stages:
        """Of this round as if it were alone; the second finds the frames read by the first."""
        calls = judged(
            self._cost.sizes, _clip(video), self._call, len(self._shown(video)),
            self._asked(video), limits,
        )  # fmt: skip
        return stages_of(calls, self._cost.counts)

    def memory(self, video: Video, limits: Limits, gpu_bytes: float) -> float:
        weights = self.resources().weights
        return judge_memory(
            self._cost.sizes, weights, _clip(video), self._call, len(self._shown(video)),
            min(self._asked(video), limits.sentences_at_once),
            value_bytes=self.tools.compute.value_bytes,
        )  # fmt: skip

    def _asked(self, video: Video) -> int:
        return len(self.questions) * len(video.expressions)

    # --- what it is made of ----------------------------------------------------------------------
    @cached_property
    def _folder(self) -> Path:
        return self.tools.checkpoints.find(self.settings.checkpoint)

    @property
    def _model_key(self) -> str:
        return f"judge {self.tools.checkpoints.locate(self.settings.checkpoint)}"

    @cached_property
    def _cost(self) -> Cost:
        """What its parts take; SAM 2's are in it and not asked for."""
        folder = self.tools.checkpoints.locate(self.settings.checkpoint)
        return Cost(self._values, folder / "config.json", PROCEDURES["sa2va"], "none")

    @cached_property
    def _values(self) -> Mapping[str, Any]:
        """The content of config.json; of a released one before it is fetched, what is known."""
        name = self.settings.checkpoint
        folder = self.tools.checkpoints.locate(name)
        if name in PLAIN and not folder.is_dir():
            return config_json(name)
        return nested(read_values(folder))


def _clip(video: Video) -> Clip:
    return Clip(len(video.frame_names), len(video.expressions), *video.size)


def _open(folder: Path) -> None:
    from submission.models.sa2va.qwenvl.judge import open_judge

    open_judge(folder)
