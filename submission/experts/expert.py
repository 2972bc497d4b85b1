"""What an expert is to the rest of the kit.

Two kinds exist: Sa2VA from a checkpoint, and masks that any other model has written as PNGs. A new
kind needs these few methods and nothing else; the store, the vote and the rest do not know kinds.
"""

from collections.abc import Iterator
from typing import Any, Protocol

from submission.dataset.records import Expression, Video
from submission.experts.showing import Showing
from submission.masks.store import Prediction
from submission.video.frame_loader import Square

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
