"""What InternVL is asked with, as token ids: by config.json and tokenizer, without weights."""

from collections.abc import Iterator, Sequence

from submission.errors import Fault
from submission.models.sa2va.backbone import Prompt
from submission.models.sa2va.internvl import KIND, prompt
from submission.models.sa2va.internvl.config import Sa2VAConfig
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.tokenizer import SEG, Tokenizer, find_tokens

TOKENS = (prompt.IMAGE_START, prompt.IMAGE_END, prompt.IMAGE_CONTEXT, SEG)


class Prompting:
    """Questions behind images as token ids, and where an answer ends."""

    def __init__(self, config: Sa2VAConfig, tokenizer: Tokenizer) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self._special_ids = find_tokens(tokenizer, TOKENS)
        self.seg_id = self._special_ids[SEG]

    @property
    def context(self) -> int:
        return int(self.config.llm.max_position_embeddings)

    def faults(self, settings: Settings) -> Iterator[Fault]:
        return KIND.faults(settings)

    def prompt(
        self, images: int, question: str, size: tuple[int, int], settings: Settings
    ) -> Prompt:
        """Count the images' own `</img>`: they come first, whatever the question says."""
        text = prompt.build_prompt(
            self.config.template, question, images, self.config.tokens_per_frame
        )
        ids = self.tokenizer.encode(text)
        end = self._special_ids[prompt.IMAGE_END]
        ends = [place for place, token in enumerate(ids) if token == end]
        return Prompt(ids, ends[images - 1] + 1)

    def has_stopped(self, ids: Sequence[int]) -> bool:
        stop_words = prompt.TEMPLATES[self.config.template].stop_words
        return prompt.ends_with_stop_word(self.tokenizer.decode(ids), stop_words)
