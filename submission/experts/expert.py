"""What an expert is to the rest of the kit: the seam between models and everything else.

Nobody outside this folder asks what kind an expert is. The pipeline asks every expert the same few
questions, and gives it one video at a time with all its expressions. A kind of expert is a module
with `Settings` and `build`, and a line in registry.py or an entry point of somebody's package:
docs/experts.md shows one, example.py is one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from submission.compute import Compute
from submission.dataset.records import Expression, Split, Video
from submission.errors import Fault
from submission.experts.model_cache import ModelCache
from submission.masks.store import Prediction, PredictionStore
from submission.terminal.progress import Reporter
from submission.video.session import VideoSession
from submission.video.transforms import FrameRequest
from submission.weights.checkpoints import CheckpointFinder

if TYPE_CHECKING:
    from submission.models.workload import Limits, Stages

Predictions = Iterator[tuple[Expression, Prediction]]
EVERYTHING = "everything"  # in `shares`: the predictions themselves


@dataclass(frozen=True)
class ExpertEntry:
    """One [[expert]] of a recipe."""

    name: str  # unique in the recipe; a folder below predictions/
    kind: str
    settings: Any  # the kind's own `Settings`
    weight: float = 1.0  # in the vote


@dataclass(frozen=True)
class Tools:
    """What experts are built with; one for all experts of a run.

    An expert that reads what another has stored names it in `after`, and then finds it by
    `store.read(name, video, expression)`; `store.identity(name)` belongs into its own identity.
    """

    folder: Path  # of the recipe; relative paths in settings start here
    compute: Compute  # with device and precision settled
    checkpoints: CheckpointFinder  # from the words of a recipe to verified folders
    store: PredictionStore  # for reading
    reporter: Reporter
    entries: tuple[ExpertEntry, ...] = ()  # all experts of the recipe
    may_lack: bool = False  # the vote does without answers that an expert lacks
    models: ModelCache = field(default_factory=ModelCache)
    split: Split | None = None  # what the run answers, for who reads its files by itself


@dataclass(frozen=True)
class Resources:
    """What an expert needs beside frames, so that it is seen who can share.

    Experts with an equal `model` use one loaded model, kept under this key in `Tools.models`. Those
    with another model and an equal `encoder` (a digest of an image encoder's weights, or whatever
    else makes what they share in a session the same) go together when both models fit side by side.
    `encoder` is called only where models differ, since it may have to read weights. It gives None
    for one that cannot be compared yet, because its weights are not on disk.
    """

    model: str = ""  # empty for an expert without a model
    weights: float = 0  # bytes of the loaded model
    encoder: Callable[[], str | None] | None = None  # None: it shares with no other model

    def with_known_encoder(self) -> "Resources":
        """The same with an encoder that is equal to all others that are not known either."""
        encoder = self.encoder
        if encoder is None:
            return self
        return replace(self, encoder=lambda: "unknown" if (e := encoder()) is None else e)


class Expert(ABC):
    """Whatever answers a video and all its expressions with mask tracks.

    Needed are `name`, `identity`, `frames` and `predict`; the others have defaults. To build one
    opens nothing: a dry run builds experts whose checkpoints are not there. An expert is finished
    when it is built; nobody else writes into it.
    """

    name: str

    # --- what it does ----------------------------------------------------------------------------
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """All that decides the predictions, as JSON values: settings, content hashes, versions.

        Settings stand in it without paths, files by their hashes: a run folder that holds
        predictions of another identity is refused. Asked before any work; wrong or missing files
        are told here, by InputError.
        """

    @abstractmethod
    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        """The images that `predict` will ask the session for, in this order; () for none.

        Known from config files alone: it is asked while an earlier video is worked on, to decode
        ahead. What is not asked for here can still be had, only not ahead.
        """

    @abstractmethod
    def predict(self, video: Video, session: VideoSession) -> Predictions:
        """Answer the video's expressions, in order; one without an answer is left out.

        Written as a generator it is drawn to its end at once. An iterator that it returns may be
        drawn in another thread, to encode masks there or to read them: the model and the session
        have done their work when this returns. Raises InputError for a video that cannot be
        answered: the others are, and it is told at the end.
        """

    def faults(self, split: Split) -> Sequence[Fault]:
        """Everything that is wrong with its files, as far as that is seen without much reading.

        Asked of all experts before any model is made, and in a dry run.
        """
        return ()

    def working_on(self, videos: Sequence[Video]) -> AbstractContextManager[Any]:
        """What lasts while it answers these videos in this order, such as a process of its own.

        Entered before the first and left after the last, or when the work stops. `predict` may be
        asked outside of it, by a worker that learns of one video at a time.
        """
        return nullcontext()

    def outdated(self, stored: Any) -> bool:
        """Tell whether answers of the identity `stored` are to be thrown away and made again.

        True only where that costs next to nothing; others of another identity are refused.
        """
        return False

    def leaves_out(self, video: Video) -> AbstractSet[str]:
        """Ids of expressions that it has no answer to, as far as that is known without work.

        A video in which nothing else is left is not asked for again.
        """
        return frozenset()

    def after(self) -> tuple[str, ...]:
        """Names of experts whose stored predictions this one reads: they go before it."""
        return ()

    # --- what is said of it ----------------------------------------------------------------------
    def summary(self, videos: Sequence[Video]) -> str:
        """What it looks at in these videos, in a few words; empty for nothing to say."""
        return ""

    def warnings(self) -> tuple[str, ...]:
        """What a user should know before it runs, each a sentence without its subject."""
        return ()

    def checkpoints(self) -> tuple[str, ...]:
        """The checkpoints it opens, as the recipe names them."""
        return ()

    def ran_on(self) -> str:
        """What its model ran on, where that is chosen by itself; empty before it ran."""
        return ""

    # --- what it takes; each raises InputError where sizes cannot be known ------------------------
    def resources(self) -> Resources:
        """What it needs beside frames, and can share."""
        return Resources()

    def shares(self, video: Video) -> Mapping[str, Hashable]:
        """What it makes of a video, and need not make where another of its pass has made the same.

        By name, which is EVERYTHING or that of a stage of `work`, a key that says all that decides
        it. Experts with an equal key for EVERYTHING answer this video with equal predictions: only
        the first of them is asked. Stages are shared by the experts themselves, in the session; of
        these the dry run learns here.
        """
        return {}

    def work(self, video: Video, limits: "Limits") -> "Stages | None":
        """Operations for a video by stage; None: nobody counted them."""
        return None

    def public_work(self, video: Video) -> "Stages | None":
        """The same by the public procedure, where there is one to compare with."""
        return None

    def memory(self, video: Video, limits: "Limits", gpu_bytes: float) -> float | None:
        """Peak memory in bytes on a GPU of `gpu_bytes`, weights included; None: unknown."""
        return None

    def smaller(self, videos: Sequence[Video]) -> Iterable[Iterable[tuple[str, "Expert"]]]:
        """Settings that need less memory for these videos: in words, and as an expert.

        One group for each setting, in it the least change first.
        """
        return ()
