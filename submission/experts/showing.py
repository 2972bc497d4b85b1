"""A video while experts look at it: its frames, and the image features that they share."""

from typing import TYPE_CHECKING, Any

from submission.video.frame_loader import Pictures

if TYPE_CHECKING:
    from submission.models.sa2va.model import Sa2VA
    from submission.models.sam2.image_features import FrameFeatures


class Showing:
    """One video. Nothing of it outlives `close`."""

    def __init__(self, pictures: Pictures, *, shared: bool) -> None:
        self.pictures = pictures
        self._shared = shared  # by several experts
        self._watched: list[tuple[str, Any, FrameFeatures]] = []

    def watch(self, model: "Sa2VA", encoder: str, room: int) -> "FrameFeatures":
        """Return the video's image features, those of an equal image encoder where there are some.

        `encoder` names the content of the encoder's weights; `room` is how many bytes may be kept.
        """
        from submission.models.sam2.image_features import Keeping

        for known, config, features in self._watched:
            if (known, config) == (encoder, model.config.grounding):
                return features
        features = model.watch(self.pictures, Keeping(room, self._shared))
        self._watched.append((encoder, model.config.grounding, features))
        return features

    def forget(self) -> None:
        """Let go of the image features; they are computed again when they are needed."""
        for _, _, features in self._watched:
            features.close()
        self._watched.clear()

    def close(self) -> None:
        """Let go of everything."""
        self.forget()
        self.pictures.close()
