"""Ask a language model for a yes or a no, and take its log-odds instead of its word."""

from collections.abc import Sequence

from transformers import PreTrainedModel

from submission.errors import InputError
from submission.models.sa2va.language import Prefix, choose_first
from submission.models.sa2va.tokenizer import Tokenizer


def odds_of_yes(
    llm: PreTrainedModel, tokenizer: Tokenizer, prefix: Prefix, questions: Sequence[Sequence[int]]
) -> list[float]:
    """Return for each question (token ids behind the prefix) the log-odds of "yes" against "no".

    Either may be in either case and have a space before it. Raises InputError for a tokenizer that
    begins both alike, NotFinite where the odds are no number.
    """
    yes, no = (
        {tokenizer.encode_answer(space + spelt)[0]
         for space in ("", " ") for spelt in (word, word.capitalize())}
        for word in ("yes", "no")
    )  # fmt: skip
    yes, no = yes - no, no - yes  # a space alone begins both
    if not (yes and no):
        raise InputError(
            'this checkpoint\'s tokenizer begins "yes" and "no" alike, so it cannot be asked: '
            "set ask = false, or take another judge"
        )
    return choose_first(llm, prefix, questions, sorted(yes), sorted(no))
