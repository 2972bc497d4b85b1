"""What Qwen-VL is asked with, as token ids: by its small files alone, without weights."""

from collections.abc import Iterator, Sequence

from submission.errors import Fault
from submission.models.sa2va.backbone import Prompt
from submission.models.sa2va.qwenvl import KIND, prompt
from submission.models.sa2va.qwenvl import images as seen
from submission.models.sa2va.qwenvl.config import QwenVLConfig
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.tokenizer import SEG, Tokenizer, find_tokens

PLAIN_TOKENS = (prompt.IMAGE_START, prompt.IMAGE, prompt.IMAGE_END)
TOKENS = (*PLAIN_TOKENS, SEG)
NO_TOKEN = -1


class Prompting:
    """Questions behind images as token ids, and where an answer ends."""

    def __init__(self, config: QwenVLConfig, tokenizer: Tokenizer) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self._special_ids = find_tokens(tokenizer, TOKENS)
        self.seg_id = self._special_ids.get(SEG, NO_TOKEN)  # a plain Qwen-VL has none

    @property
    def context(self) -> int:
        return int(self.config.llm.max_position_embeddings)

    def faults(self, settings: Settings) -> Iterator[Fault]:
        return KIND.faults(settings)

    def prompt(
        self, images: int, question: str, size: tuple[int, int], settings: Settings
    ) -> Prompt:
        """Count the images' own ends: they come first, whatever the question says."""
        text = prompt.build_prompt(self.config.template, question, images, settings.system_turn)
        rows, columns = self.cells(seen.resize_of(self.config.values, settings).size(*size))
        image, end = self._special_ids[prompt.IMAGE], self._special_ids[prompt.IMAGE_END]
        ids: list[int] = []
        for token in self.tokenizer.encode(text):
            ids += [token] * (rows * columns if token == image else 1)
        ends = [place for place, token in enumerate(ids) if token == end]
        return Prompt(ids, ends[images - 1] + 1)

    def has_stopped(self, ids: Sequence[int]) -> bool:
        return ids[-1] in self.config.ends

    def cells(self, size: Sequence[int]) -> tuple[int, int]:
        """Rows and columns of visual tokens of an image of this height and width."""
        cell = self.config.patch * self.config.merge
        return size[0] // cell, size[1] // cell
