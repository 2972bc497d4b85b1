"""A key frame, what Cutie sees of a video, and what becomes of the key frame in all frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from submission.errors import InputError
from submission.masks.store import CONFIDENCE_DIGITS
from submission.masks.track import Track
from submission.video.session import VideoSession
from submission.video.transforms import Frame, FrameRequest, Transform

if TYPE_CHECKING:
    from torch import Tensor

    from submission.models.cutie.model import Step


@dataclass(frozen=True)
class KeyFrame:
    """A frame whose mask is given."""

    time: int
    mask: NDArray[np.bool_]  # (H, W), with foreground


@dataclass(frozen=True)
class Propagated:
    """What became of one key frame: masks of all frames, its own among them as it was given."""

    bits: NDArray[np.uint8]  # (T, H, ceil(W / 8)), first pixel highest
    width: int
    confidence: tuple[float | None, ...]  # a frame: mean probability inside the mask

    def track(self) -> Track:
        """The masks as run lengths."""
        return Track.encode_packed(self.bits, self.width)


class SessionFrames:
    """A session's frames one by one, as Cutie sees them."""

    def __init__(self, session: VideoSession, transform: Transform) -> None:
        self._session = session
        self._transform = transform
        self.size = transform.size(*session.shape[1:])

    def __len__(self) -> int:
        return self._session.shape[0]

    def __getitem__(self, time: int) -> Frame:
        frame: Frame = self._session.frames(FrameRequest((time,), self._transform))[0]
        return frame

    def shrink(self, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Return a mask at the size of these frames, as ids: nearest pixel.

        An object smaller than the pixels that are left out keeps the pixel it is nearest to.
        """
        image = Image.fromarray(mask.astype(np.uint8))
        small = np.array(image.resize(self.size[::-1], Image.Resampling.NEAREST))
        if not small.any():
            scale = np.divide(self.size, mask.shape)
            rows, columns = (np.argwhere(mask) * scale).astype(int).T
            small[rows, columns] = 1
        return small


class Result:
    """One candidate's masks and confidences, while its frames come."""

    def __init__(self, key: KeyFrame, shape: tuple[int, int, int]) -> None:
        from submission.models.mask_packing import MaskStack

        self._key = key
        self._size = shape[1:]
        self._masks: MaskStack = MaskStack(1, shape)
        self._sums: dict[int, Tensor] = {}

    def take(self, step: "Step") -> None:
        """Keep a frame: where the object is likelier than the background, at full size."""
        import torch
        import torch.nn.functional as F

        background, inside = step.probabilities
        ahead = inside - background
        sure = inside[ahead > 0]
        self._sums[step.time] = torch.stack(
            [step.probabilities.sum(), sure.sum(), sure.new_tensor(sure.numel())]
        )
        if ahead.shape != self._size:
            ahead = F.interpolate(ahead[None, None], size=self._size, mode="bilinear")[0, 0]
        self._masks.draw(step.time, ahead[None, None])

    def finish(self) -> Propagated:
        """Return all frames; raises InputError where a number is not finite."""
        import torch

        sums = torch.stack([self._sums[time] for time in sorted(self._sums)]).cpu().numpy()
        if not np.isfinite(sums).all():
            raise InputError("Cutie's probabilities are not finite: are these its weights?")
        bits = self._masks.masks()[0].bits
        bits[self._key.time] = np.packbits(self._key.mask, axis=-1)
        return Propagated(bits, self._size[1], tuple(_means(sums)))


def _means(sums: NDArray[np.float32]) -> Iterator[float | None]:
    for _, inside, pixels in sums:
        yield round(float(inside / pixels), CONFIDENCE_DIGITS) if pixels else None
