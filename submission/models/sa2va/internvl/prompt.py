"""Words around a sentence: the three chat templates, the question and the stop words.

Strings in, strings out; tokens are the business of tokenizer.py. The templates are those of the
released checkpoints (key `template` in config.json); no system turn is ever added.
"""

from collections.abc import Sequence
from dataclasses import dataclass

IMAGE_START = "<img>"
IMAGE_END = "</img>"
IMAGE_CONTEXT = "<IMG_CONTEXT>"  # repeated, one for each visual token of a frame
SEG = "[SEG]"  # its hidden state becomes the prompt of the mask decoder


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


def ask(sentence: str, procedure: str) -> str:
    """Return the user's words after the frames, as the evaluators of the two procedures ask.

    Sa2VA words a question (a sentence with "?") differently; Sa2VA-i never does. The space after
    the line break of the question form is the reference's own.
    """
    if procedure == "sa2va" and "?" in sentence:
        return f"\n {sentence} Please respond with a segmentation mask."
    return f"\nPlease segment {sentence}."


def build_prompt(
    template: str, sentence: str, num_frames: int, tokens_per_frame: int, procedure: str
) -> str:
    """Return the whole prompt: frames one to a line, the question, and the turn of the answer."""
    words = TEMPLATES[template]
    frame = f"{IMAGE_START}{IMAGE_CONTEXT * tokens_per_frame}{IMAGE_END}"
    frames = "\n".join([frame] * num_frames)
    return f"{words.before}{frames}{ask(sentence, procedure)}{words.after}"


def ends_with_stop_word(text: str, stop_words: Sequence[str]) -> bool:
    """Tell whether a decoded answer has reached a stop word; line breaks are not counted."""
    return text.replace("\r", "").replace("\n", "").endswith(tuple(stop_words))
