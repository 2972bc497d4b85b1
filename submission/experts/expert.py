"""What an expert is to the rest of the kit: the seam between models and everything else.

Nobody outside this folder asks what kind an expert is. The pipeline asks every expert the same few
questions, and gives it one video at a time with all its expressions.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from submission.dataset.records import Expression, Video
from submission.masks.store import Prediction
from submission.video.session import VideoSession
from submission.video.transforms import FrameRequest

Predictions = Iterator[tuple[Expression, Prediction]]


class Expert(ABC):
    """Whatever answers a video and all its expressions with mask tracks.

    Needed are `name`, `identity`, `frames` and `predict`; the others have defaults.
    """

    name: str

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

        The model has done its work when this returns; drawing from the iterator encodes masks, or
        reads them, and may happen in another thread. Raises InputError for a video that cannot be
        answered: the others are, and it is told at the end.
        """

    def after(self) -> tuple[str, ...]:
        """Names of experts of the recipe whose stored predictions of a video this one reads."""
        return ()
