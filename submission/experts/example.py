"""An expert to copy: it finds what is brighter than a threshold, whatever the sentence says."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from submission.code_digest import prediction_code
from submission.dataset.records import Video
from submission.experts.expert import Expert, Predictions, Tools
from submission.masks.store import Prediction
from submission.masks.track import Track
from submission.video.session import VideoSession
from submission.video.transforms import AsIs, FrameRequest


@dataclass(frozen=True)
class Settings:
    """The keys of its [[expert]], beside name, kind and weight."""

    threshold: Annotated[int, Field(ge=0, le=255)] = 128  # of the mean of red, green and blue


class Brightness(Expert):
    """Answers every expression with the bright pixels."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return {"threshold": self.settings.threshold, "code": prediction_code(__name__)}

    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        return tuple(FrameRequest((time,), AsIs()) for time in range(len(video.frame_names)))

    def predict(self, video: Video, session: VideoSession) -> Predictions:
        frames = (session.frames(request)[0] for request in self.frames(video))
        track = Track.encode(frame.mean(axis=-1) > self.settings.threshold for frame in frames)
        return ((one, Prediction(one.sentence, track)) for one in video.expressions)


def build(name: str, settings: Settings, tools: Tools) -> Expert:
    """Build one from the settings that the recipe states."""
    return Brightness(name, settings)
