"""The tokenizer of the small model: byte-level, with a token of its own for every known word."""

import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from scripts.sample_data.wordings import SUBJECTS, all_phrases
from submission.models.sa2va.tokenizer import SEG

END = "<|im_end|>"
# The special tokens of a released Qwen2-type checkpoint, in their order.
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", END, "<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>",
    "<ref>", "</ref>", "<box>", "</box>", SEG, "<p>", "</p>", "<vp>", "</vp>",
]  # fmt: skip
COLOUR_NAMES = ("red", "blue", "green", "yellow", "purple", "orange", "cyan", "pink")
FOUND, NOT_THERE = f"Sure, {SEG}.{END}", f"It is not there.{END}"
ROOM = 900  # tokens: more than all words need, so that every word becomes one


def texts() -> Iterator[str]:
    """Everything that training says or is asked."""
    for phrase in all_phrases(held_out=False):
        for pair in SUBJECTS:
            for subject in pair:
                yield f"\nPlease segment {subject} {phrase}."
    for colour in COLOUR_NAMES:
        yield f"\nPlease segment The {colour} one and the {colour} shape."
    yield from ("\nPlease segment The only one.", "user\n", "assistant\n")
    yield from ("Sure, .", "It is not there.")


def write_tokenizer(folder: Path) -> int:
    """Write tokenizer.json and tokenizer_config.json; return the size of the vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=ROOM, min_frequency=1, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    added = {
        str(tokenizer.token_to_id(token)): {"content": token, "special": True} for token in SPECIAL
    }
    settings = {
        "add_bos_token": False, "added_tokens_decoder": added, "eos_token": END,
        "pad_token": SPECIAL[0], "tokenizer_class": "Qwen2Tokenizer",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    return int(tokenizer.get_vocab_size())
