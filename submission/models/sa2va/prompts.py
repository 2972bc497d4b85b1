"""Sentences become prompts, and those that are too long for the language model are named.

Made with config.json and tokenizer alone: a run asks before any weights are read.
"""

from collections.abc import Callable, Iterator, Sequence

from submission.counted import counted
from submission.errors import Fault, FaultyInput
from submission.models.sa2va.backbone import Prompt, Prompting
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.questions import existence_question
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.tokenizer import spell_out

SHOWN = 40  # characters of a long sentence in a message


def make_prompts(
    prompting: Prompting, sentences: Sequence[str], images: int, size: tuple[int, int],
    settings: Settings, question: Callable[[str], str],
) -> list[Prompt]:  # fmt: skip
    """Return the prompt of each sentence, behind so many images of frames (height, width).

    What looks like a special token in a sentence is text. Raises FaultyInput naming every sentence
    whose prompt the language model was not trained to read.
    """
    plain = (spell_out(sentence, prompting.tokenizer.added) for sentence in sentences)
    prompts = [prompting.prompt(images, question(words), size, settings) for words in plain]
    faults = [
        Fault(shortened(sentence), _too_long(prompting, prompt, images, settings))
        for sentence, prompt in zip(sentences, prompts, strict=True)
        if len(prompt.ids) >= prompting.context
    ]
    if faults:
        raise FaultyInput("These sentences do not fit into the language model:", faults)
    return prompts


def long_sentences(
    prompting: Prompting, sentences: Sequence[str], length: int, size: tuple[int, int],
    settings: Settings,
) -> Iterator[tuple[int, str]]:  # fmt: skip
    """Give the place of every sentence that is too long for a video, and why, in words.

    The video has `length` frames of `size` (height, width), in pixels.
    """
    procedure = PROCEDURES[settings.procedure]
    images = len(procedure.images(length, settings))
    shared = prompting.prompt(images, "", size, settings).shared
    questions = [procedure.question, *([existence_question] if settings.ask else [])]
    for place, sentence in enumerate(sentences):
        words = spell_out(sentence, prompting.tokenizer.added)
        # Behind one image it has the same tokens as behind many, which take long to make.
        asked = [prompting.prompt(1, question(words), size, settings) for question in questions]
        longest = max(asked, key=lambda prompt: len(prompt.ids))
        if shared + len(longest.question) >= prompting.context:
            whole = Prompt([0] * shared + longest.question, shared)
            yield place, _too_long(prompting, whole, images, settings)


def shortened(sentence: str) -> str:
    """Return a sentence as a message shows it."""
    shown = sentence if len(sentence) <= SHOWN else f"{sentence[: SHOWN - 3]}..."
    return f'"{shown}"'


def _too_long(prompting: Prompting, prompt: Prompt, images: int, settings: Settings) -> str:
    total, own = len(prompt.ids), len(prompt.question)
    words = (
        f"its prompt has {total} tokens with {counted(images, 'image')}, {own} of "
        f"them the sentence's, and this language model was trained for {prompting.context}: "
    )
    unread = PROCEDURES[settings.procedure].unread
    fitting = (prompting.context - 1 - own) * images // prompt.shared
    if fitting >= 1 and "frames" not in unread:
        return f"{words}set frames = {fitting} or lower, or shorten the sentence"
    return f"{words}shorten the sentence"
