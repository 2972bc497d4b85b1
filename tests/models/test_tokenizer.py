"""Prompts and token ids against the record, and InternLM2's sentencepiece files."""

import json
from pathlib import Path
from typing import Any

import pytest
from models.cases import REFERENCE
from models.checkpoints import TINY, TINY_I
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from submission.errors import InputError
from submission.models.sa2va.internvl.prompt import TEMPLATES, build_prompt, ends_with_stop_word
from submission.models.sa2va.tokenizer import Tokenizer, load_tokenizer

PROMPTS = json.loads((REFERENCE / "prompts.json").read_text())
SPECIAL = ("<unk>", "<s>", "</s>")
ADDED = ("<|im_end|>", "<|im_start|>", "<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "[SEG]", "<p>")
PROMPT = (
    "<|im_start|>user\n<img><IMG_CONTEXT><IMG_CONTEXT></img>\n"
    "Please segment the dog, it's left?.<|im_end|>\n<|im_start|>assistant\n"
)


@pytest.mark.parametrize("name", PROMPTS)
def test_recorded_prompts(name):
    template, num_frames, kind = name.split("/")
    sentence = "the dog" if kind == "plain" else "which dog?"
    text = build_prompt(template, sentence, int(num_frames), 4, "sa2va")
    assert text == PROMPTS[name]["text"]
    assert list(TEMPLATES[template].stop_words) == PROMPTS[name]["stop_words"]
    for kind, folder in (("qwen2", TINY), ("internlm2", TINY_I)):
        assert load_tokenizer(folder).encode(text) == PROMPTS[name][f"ids_{kind}"]


def test_sa2va_i_asks_questions_as_it_asks_everything():
    asked = build_prompt("qwen_chat", "which dog?", 1, 1, "sa2va-i")
    assert "</img>\nPlease segment which dog?.<|im_end|>" in asked


@pytest.mark.parametrize(
    ("text", "ends"),
    [("It is [SEG].<|im_end|>", True), ("[SEG]<|im_\nend|>\r\n", True), ("<|im_end|>.", False)],
)
def test_stop_words_do_not_count_line_breaks(text, ends):
    assert ends_with_stop_word(text, ("<|im_end|>", "<|endoftext|>")) is ends


@pytest.mark.parametrize("folder", [TINY, TINY_I], ids=lambda path: path.name)
def test_answers_survive_a_round_trip(folder):
    tokenizer = load_tokenizer(folder)
    text = "Sure, it is [SEG] and\n[SEG].<|im_end|>"
    assert tokenizer.decode(tokenizer.encode_answer(text)) == text


# --- sentencepiece -------------------------------------------------------------------------------
def write_pieces(folder: Path, **settings: Any) -> Tokenizer:
    """Tokenizer files as InternLM2 is released: tokenizer.model, and a list of added tokens."""
    folder.mkdir()
    words = ["Please segment the dog that turns left", "Sure, it is the one.", "which one stops?"]
    SentencePieceTrainer.train(
        sentence_iterator=iter(words * 20), model_prefix=str(folder / "tokenizer"), vocab_size=320,
        model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=False, minloglevel=2,
        hard_vocab_limit=False,
    )  # fmt: skip
    size = SentencePieceProcessor(model_file=str(folder / "tokenizer.model")).vocab_size()
    entries = {str(i): {"content": token} for i, token in enumerate(SPECIAL)}
    entries |= {str(size + i): {"content": token} for i, token in enumerate(ADDED)}
    stated = {"added_tokens_decoder": entries, "eos_token": "</s>"} | settings
    (folder / "tokenizer_config.json").write_text(json.dumps(stated))
    return load_tokenizer(folder)


@pytest.fixture
def pieces(tmp_path: Path) -> Tokenizer:
    return write_pieces(tmp_path / "internlm2")


def test_added_tokens_are_cut_out_of_the_text(pieces):
    ids = pieces.encode(PROMPT)
    added = [pieces.find(token) for token in ADDED]
    assert added == list(range(added[0], added[0] + len(ADDED)))
    assert ids[:2] == [1, pieces.find("<|im_start|>")]
    assert ids.count(pieces.find("<IMG_CONTEXT>")) == 2
    assert ids.count(pieces.find("<|im_start|>")) == 2
    assert pieces.find("[GES]") is None
    assert pieces.eos_id == 2


def test_only_prompts_begin_with_a_bos(pieces):
    assert pieces.encode(PROMPT) == [1, *pieces.encode_answer(PROMPT)]
    assert 1 not in pieces.encode_answer(PROMPT)


def test_a_checkpoint_may_do_without_a_bos(tmp_path):
    pieces = write_pieces(tmp_path / "without", add_bos_token=False)
    assert pieces.encode(PROMPT) == pieces.encode_answer(PROMPT)


@pytest.mark.parametrize(
    "text", [PROMPT, "Sure, [SEG].<|im_end|>", "[SEG][SEG] é \n\n x", "<p>the  one</p>", ""]
)
def test_pieces_survive_a_round_trip(pieces, text):
    assert pieces.decode(pieces.encode_answer(text)) == text


def test_words_between_added_tokens_are_those_of_sentencepiece(pieces, tmp_path):
    plain = SentencePieceProcessor(model_file=str(tmp_path / "internlm2" / "tokenizer.model"))
    seg = pieces.find("[SEG]")
    expected = [*plain.encode("Sure, "), seg, *plain.encode(" and "), seg, *plain.encode(".")]
    assert pieces.encode_answer("Sure, [SEG] and [SEG].") == expected
    assert seg not in plain.encode("[SEG]")


def test_a_damaged_tokenizer_model_is_named(tmp_path):
    write_pieces(tmp_path / "damaged")
    (tmp_path / "damaged" / "tokenizer.model").write_bytes(b"no model")
    with pytest.raises(InputError, match=r"damaged/tokenizer\.model"):
        load_tokenizer(tmp_path / "damaged")


def test_a_damaged_tokenizer_json_is_named(tmp_path):
    for name, text in (("tokenizer.json", "{"), ("tokenizer_config.json", "{}")):
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=r"tokenizer\.json: .*fetch it again"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("eos", [None, "<end>", 3])
def test_a_tokenizer_without_a_usable_eos(tmp_path, eos):
    with pytest.raises(InputError, match="no usable eos_token"):
        write_pieces(tmp_path / "endless", eos_token=eos)
