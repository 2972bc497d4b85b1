"""Sentences to token ids of BERT, cleaned as UNINEXT's training data were."""

import re
from collections.abc import Sequence
from pathlib import Path

from submission.errors import InputError

VOCABULARY = "vocab.txt"
BESIDE = "bert-base-uncased"  # its folder among the weights, as weights.lock has it
LONGEST = 256  # tokens, [CLS] and [SEP] counted
DROPPED = re.compile(r"[.,'!?\"()*#:;]")
NEEDED = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def clean(sentence: str) -> str:
    """Lower case, without punctuation; hyphens and slashes part words."""
    return DROPPED.sub("", sentence.lower()).replace("-", " ").replace("/", " ")


class SentenceTokenizer:
    """WordPiece from a vocabulary file, one token a line."""

    def __init__(self, vocabulary: Path, tokens: int) -> None:
        """Read a vocabulary that must have as many `tokens` as the text encoder has embeddings."""
        from tokenizers import BertWordPieceTokenizer

        lines = vocabulary.read_text(encoding="utf-8-sig").splitlines()
        absent = [token for token in NEEDED if token not in lines]
        if absent or len(lines) != tokens:
            what = f"lacks {', '.join(absent)}" if absent else f"has {len(lines)} tokens"
            raise InputError(
                f"{vocabulary}: not the vocabulary of this text encoder: it {what}, where the "
                f"checkpoint has {tokens} embeddings; take {VOCABULARY} of {BESIDE}"
            )
        self._backend = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        self._backend.enable_truncation(LONGEST)

    def encode(self, sentence: str) -> list[int]:
        """Token ids of one sentence, [CLS] first and [SEP] last."""
        ids: Sequence[int] = self._backend.encode(clean(sentence)).ids
        return list(ids)


def find_vocabulary(checkpoint: Path) -> Path:
    """BERT's vocabulary beside a checkpoint file, or in its folder's neighbour; InputError if none.

    It is never fetched here: `mevis-submission weights fetch bert-base-uncased` does that.
    """
    folder = checkpoint.parent
    places = [
        folder / VOCABULARY,
        folder.parent / BESIDE / VOCABULARY,
        folder / BESIDE / VOCABULARY,
    ]
    for place in places:
        if place.is_file():
            return place
    raise InputError(
        f"{checkpoint}: BERT's vocabulary is neither {places[0]} nor {places[1]}; "
        f"`mevis-submission weights fetch {BESIDE}` puts it there"
    )
