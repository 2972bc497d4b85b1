"""Units of work of UNINEXT, each counted on the real network without values."""

from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor

from submission.models.counting import META, count, without_values
from submission.models.live_bytes import live_bytes
from submission.models.uninext.config import UninextConfig
from submission.models.uninext.network import ImageFeatures, lay_out_network
from submission.models.uninext.work import TOKENS
from submission.models.unit_calls import Unit
from submission.models.workload import Work


class UninextUnits:
    """A unit's name is a method that counts it; sizes are height and width in pixels."""

    def __init__(self, config: UninextConfig) -> None:
        self.config = config
        self.network = without_values(lay_out_network(config), torch.float32)
        self._image = cache(self._encoded)
        self._alive_alone = cache(lambda *size: live_bytes(partial(self._encoded, *size))[0])

    @torch.inference_mode()
    def __call__(self, unit: Unit) -> Work:
        counted: Work = getattr(self, unit.name)(*unit.numbers)
        return counted

    def read(self, sentences: int) -> Work:
        """Read sentences of one length: the library would look at the values of a mask."""
        ids = torch.zeros(sentences, TOKENS, dtype=torch.long, device=META)
        return count(lambda: self.network.text(input_ids=ids))

    def look(self, height: int, width: int) -> Work:
        """Encode a frame."""
        return count(partial(self._encoded, height, width))

    def detect(self, sentences: int, height: int, width: int) -> Work:
        """Find what sentences mean on a frame, and draw the mask of each winner."""
        return count(self.detecting(sentences, height, width))

    def alive(self, sentences: int, height: int, width: int) -> Work:
        """Bytes at the peak of detecting, or of encoding the frame, as values."""
        meet, _ = live_bytes(self.detecting(sentences, height, width))
        return Work(values=max(self._alive_alone(height, width), meet))

    def backbone_weights(self) -> Work:
        """Parameters of the image backbone, as values."""
        return Work(values=_numbers(self.network.backbone))

    def other_weights(self) -> Work:
        """All other parameters, as values."""
        return Work(values=_numbers(self.network) - _numbers(self.network.backbone))

    def _encoded(self, height: int, width: int) -> ImageFeatures:
        return self.network.encode_image(torch.empty(3, height, width, device=META))

    def detecting(self, sentences: int, height: int, width: int) -> Callable[[], Tensor]:
        """What finds so many sentences on a frame that is encoded."""
        image = self._image(height, width)
        text = torch.empty(sentences, TOKENS, self.config.text.width, device=META)
        real = torch.empty(sentences, TOKENS, dtype=torch.bool, device=META)

        def detecting() -> Tensor:
            found = self.network.detect(image, text, real)
            return self.network.draw(image, found, found.scores.max(1).indices)

        return detecting


def _numbers(network: torch.nn.Module) -> int:
    return sum(one.numel() for one in network.parameters())
