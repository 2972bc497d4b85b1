"""Words around a question: the three chat templates, the images and the stop words.

Strings in, strings out; tokens are the business of tokenizer.py. The templates are those of the
released checkpoints (key `template` in config.json); no system turn is ever added.
"""

from collections.abc import Sequence
from dataclasses import dataclass

IMAGE_START = "<img>"
IMAGE_END = "</img>"
IMAGE_CONTEXT = "<IMG_CONTEXT>"  # repeated, one for each visual token of an image


@dataclass(frozen=True)
class Template:
    """What stands before and after the user's words, and the texts that end an answer."""

    before: str
    after: str
    stop_words: tuple[str, ...]


_IM_CHAT = ("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")
TEMPLATES = {
    "internlm2_chat": Template(*_IM_CHAT, stop_words=("<|im_end|>",)),
    "qwen_chat": Template(*_IM_CHAT, stop_words=("<|im_end|>", "<|endoftext|>")),
    "phi3_chat": Template("<|user|>\n", "<|end|>\n<|assistant|>\n", stop_words=("<|end|>",)),
}


def build_prompt(template: str, question: str, num_images: int, tokens_per_image: int) -> str:
    """Return the whole prompt: images one to a line, the question, and the turn of the answer."""
    words = TEMPLATES[template]
    image = f"{IMAGE_START}{IMAGE_CONTEXT * tokens_per_image}{IMAGE_END}"
    images = "\n".join([image] * num_images)
    return f"{words.before}{images}{question}{words.after}"


def ends_with_stop_word(text: str, stop_words: Sequence[str]) -> bool:
    """Tell whether a decoded answer has reached a stop word; line breaks are not counted."""
    return text.replace("\r", "").replace("\n", "").endswith(tuple(stop_words))
