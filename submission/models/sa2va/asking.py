"""Show the images of a video to the language model once, and ask every question behind them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from submission.models.sa2va import language
from submission.models.sa2va.backbone import Backbone, Prompt
from submission.models.sa2va.kept_images import KeptImages
from submission.models.sa2va.yes_or_no import odds_of_yes


def answer_all(
    backbone: Backbone, images: NDArray[np.uint8], prompts: Sequence[Prompt],
    existence: Sequence[Prompt], *, answers: Sequence[str] | None = None,
    max_new_tokens: int, at_once: int, kept: KeptImages | None = None,
) -> list[language.Reply]:  # fmt: skip
    """Answer each prompt, `at_once` of them packed behind one prefix.

    `existence` are the yes/no questions: one for each of `prompts`, or none at all. `answers` are
    forced token by token. The cache of the images ends with this call, before anything is tracked.
    """
    prefix = backbone.read_images(images, prompts[0].ids[: prompts[0].shared], kept)
    left = backbone.context - max(len(prompt.ids) for prompt in prompts)
    decoding = language.Decoding(
        seg_id=backbone.seg_id,
        eos_id=backbone.tokenizer.eos_id,
        max_new_tokens=min(max_new_tokens, left),
        has_stopped=backbone.has_stopped,
    )
    replies: list[language.Reply] = []
    for start in range(0, len(prompts), at_once):
        part = slice(start, start + at_once)
        questions = [prompt.question for prompt in prompts[part]]
        forced = None
        if answers is not None:
            forced = [backbone.tokenizer.encode_answer(text) for text in answers[part]]
        replies += language.answer(backbone.language, prefix, questions, decoding, forced)
        if existence:
            judged = [prompt.question for prompt in existence[part]]
            odds = odds_of_yes(backbone.language, backbone.tokenizer, prefix, judged)
            for reply, value in zip(replies[part], odds, strict=True):
                reply.yes_odds = value
    return replies
