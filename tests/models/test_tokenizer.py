"""Prompts and token ids against the record, and InternLM2's sentencepiece files."""

import json
import shutil
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from models.cases import REFERENCE
from models.checkpoints import TINY, TINY_I
from models.piece_models import written
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from submission.errors import InputError
from submission.models.sa2va.internvl.prompt import TEMPLATES, build_prompt, ends_with_stop_word
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.sentencepiece_model import STAND_IN, without_null
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
    text = build_prompt(template, PROCEDURES["sa2va"].question(sentence), int(num_frames), 4)
    assert text == PROMPTS[name]["text"]
    assert list(TEMPLATES[template].stop_words) == PROMPTS[name]["stop_words"]
    for kind, folder in (("qwen2", TINY), ("internlm2", TINY_I)):
        assert load_tokenizer(folder).encode(text) == PROMPTS[name][f"ids_{kind}"]


def test_sa2va_i_asks_questions_as_it_asks_everything():
    asked = build_prompt("qwen_chat", PROCEDURES["sa2va-i"].question("which dog?"), 1, 1)
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


# --- a null piece, as InternLM2's released model has it ------------------------------------------
# What sentencepiece 0.2.1 makes of the model with a null piece, before any change to it (measured;
# 0.2.2 refuses it, 0.2.3 refuses it without byte pieces and puts the null piece aside with them).
NULL_AT = 20
IDS = {
    True: {
        "the dog and the other": [261, 267, 271, 270, 262, 271, 282, 261, 283],
        "sitting on\0the": [284, 279, 285, 285, 264, 271, 282, 281, 20, 261],
        "é\0\0 x": [199, 173, 20, 20, 271, 124],
        STAND_IN: [243, 187, 148, 243, 187, 149, 243, 187, 150],
    },
    False: {
        "the dog and the other": [4, 10, 14, 13, 5, 14, 26, 4, 27],
        "sitting on\0the": [28, 23, 29, 29, 7, 14, 26, 25, 20, 4],
        STAND_IN: [0],
    },
}


@pytest.mark.parametrize("byte_pieces", [True, False])
def test_a_null_piece_changes_no_id_in_any_version_of_the_library(tmp_path, byte_pieces):
    tokenizer = write_model(tmp_path, written(NULL_AT, byte_pieces))
    for text, ids in IDS[byte_pieces].items():
        assert tokenizer.encode_answer(text) == ids
    assert tokenizer.decode([NULL_AT]) == "\0"


def test_the_library_alone_refuses_such_a_model_or_always_took_it():
    content = written(NULL_AT, byte_fallback=False)
    newer = tuple(map(int, version("sentencepiece").split(".")[:3])) >= (0, 2, 2)
    with pytest.raises(RuntimeError, match="null character") if newer else nullcontext():
        SentencePieceProcessor(model_proto=content)


def test_only_the_text_of_the_null_piece_is_changed():
    content = written(NULL_AT)
    changed, found = without_null(content)
    assert found == NULL_AT
    assert changed.replace(STAND_IN.encode(), b"\0").count(b"\0") == content.count(b"\0")
    assert without_null(written()) == (written(), None)
    assert without_null(changed) == (changed, None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
        (written()[:-3], "does not read it: Error parsing message"),
        (b"\x08\x01", "it holds no pieces"),
        (b"\x0b", "Error parsing message"),
    ],
)
def test_a_model_that_cannot_be_read_is_told_with_the_cause(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        write_model(tmp_path, content)


def write_model(folder: Path, content: bytes) -> Tokenizer:
    (folder / "tokenizer.model").write_bytes(content)
    added = {token: 400 + number for number, token in enumerate(ADDED)}
    (folder / "added_tokens.json").write_text(json.dumps(added))
    (folder / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    return load_tokenizer(folder)


# --- vocab.json and merges.txt -------------------------------------------------------------------
def split_up(folder: Path) -> Path:
    """The small Qwen checkpoint's tokenizer as vocab.json and merges.txt."""
    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    (folder / "tokenizer.json").unlink()
    return folder


def test_a_vocabulary_with_merges_gives_the_ids_of_the_recorded_prompts(tmp_path):
    tokenizer = load_tokenizer(split_up(tmp_path / "qwen"))
    whole = load_tokenizer(TINY)
    for prompt in PROMPTS.values():
        assert tokenizer.encode(prompt["text"]) == prompt["ids_qwen2"]
    answer = "Sure, it is [SEG] and\n[SEG].<|im_end|>"
    assert tokenizer.decode(tokenizer.encode_answer(answer)) == answer
    assert tokenizer.eos_id == whole.eos_id


@pytest.mark.parametrize(
    ("line", "words"), [("a b c", "is not a pair"), ("zzz !", "is not a pair of tokens")]
)
def test_merges_that_do_not_fit_the_vocabulary(tmp_path, line, words):
    folder = split_up(tmp_path / "qwen")
    with (folder / "merges.txt").open("a") as file:
        file.write(line)
    with pytest.raises(InputError, match=rf"merges\.txt, line 62: .*{words}"):
        load_tokenizer(folder)


# --- the JSON files beside it --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("tokenizer_config.json", {"added_tokens_decoder": []}, "is a list; it must be an object"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"3": "x"}}, '"3" is a text'),
        ("tokenizer_config.json", {"added_tokens_decoder": {"²": {"content": "x"}}}, "no id"),
        ("tokenizer_config.json", [], "it holds a list"),
        ("added_tokens.json", {"[SEG]": None}, r'"\[SEG\]" is null; it must be the id'),
        ("added_tokens.json", {"[SEG]": 1e3}, "is a number; it must be the id"),
        ("added_tokens.json", None, "it holds null"),
    ],
)
def test_a_file_of_another_shape_is_told_with_its_key(tmp_path, name, value, words):
    folder = split_up(tmp_path / "odd")
    (folder / name).write_text(json.dumps(value))
    with pytest.raises(InputError, match=rf"{name}: .*{words}"):
        load_tokenizer(folder)


def test_what_is_null_counts_as_absent_and_a_byte_order_mark_does_not_matter(tmp_path):
    folder = tmp_path / "marked"
    shutil.copytree(TINY, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    text = json.dumps(settings | {"added_tokens_decoder": None, "eos_token": None})
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8-sig")
    whole = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(whole, encoding="utf-8-sig")
    (folder / "special_tokens_map.json").write_text('{"eos_token": {"content": "<|im_end|>"}}')
    assert load_tokenizer(folder).eos_id == load_tokenizer(TINY).eos_id
