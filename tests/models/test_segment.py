"""`segment` on videos and answers of every kind, and the calls it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from models.cases import iou
from models.checkpoints import TINY_I
from models.conftest import ANSWERS, SENTENCES

from submission.errors import InputError
from submission.models.sa2va.answer import Answer
from submission.models.sa2va.language import Reply
from submission.models.sa2va.loading import load
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.prompts import make_prompts
from submission.models.sa2va.settings import Settings

NAMES = ("sa2va", "sa2va-i")
SAYS_SEG = "Sure, [SEG].<|im_end|>"


def noise(*shape: int) -> np.ndarray:
    """A video of smooth noise, uint8 RGB."""
    coarse = np.random.default_rng(0).integers(0, 256, (shape[0], 4, 4, 3))
    tiles = np.ones((1, -(-shape[1] // 4), -(-shape[2] // 4), 1), np.int64)
    return np.kron(coarse, tiles)[:, : shape[1], : shape[2]].astype(np.uint8)


def segment_one(model: Sa2VA, clip: np.ndarray, answer: str, **settings) -> Answer:
    return model.segment(clip, [SENTENCES[0]], Settings(**settings), answers=[answer])[0]


@pytest.mark.parametrize("procedure", NAMES)
@pytest.mark.parametrize("sampling", ["uniform", "first"])
@pytest.mark.parametrize(
    "shape",
    [(1, 40, 60), (3, 61, 37), (9, 33, 47), (20, 16, 24)],
    ids=lambda s: "x".join(map(str, s)),
)
def test_short_odd_and_portrait_videos(sa2va_i, procedure, sampling, shape):
    answer = segment_one(
        sa2va_i, noise(*shape), SAYS_SEG, procedure=procedure, sampling=sampling, frames=5
    )
    assert answer.num_seg == 1
    assert answer.masks.shape == shape
    masks = np.asarray(answer.masks)
    assert (masks.shape, masks.dtype) == (shape, np.bool_)


def test_frames_of_a_column_view_are_read_as_their_copy(sa2va_i, frames):
    turned = frames.transpose(0, 2, 1, 3)
    assert not turned.flags.c_contiguous
    ours = segment_one(sa2va_i, turned, SAYS_SEG)
    copied = segment_one(sa2va_i, np.ascontiguousarray(turned), SAYS_SEG)
    assert np.array_equal(ours.masks.bits, copied.masks.bits)


@pytest.mark.parametrize("procedure", NAMES)
def test_several_segs_first_or_union(sa2va_i, frames, procedure):
    settings = {"procedure": procedure, "frames": 3}
    two = "Sure, [SEG] and [SEG].<|im_end|>"
    first = segment_one(sa2va_i, frames, two, seg="first", **settings)
    union = segment_one(sa2va_i, frames, two, seg="union", **settings)
    only = segment_one(sa2va_i, frames, SAYS_SEG, **settings)
    assert (first.num_seg, union.num_seg, only.num_seg) == (2, 2, 1)
    assert iou(np.asarray(first.masks), np.asarray(only.masks)) > 0.999
    of_first, of_both = np.asarray(first.masks), np.asarray(union.masks)
    assert (of_both | of_first).sum() == of_both.sum() > of_first.sum()


@pytest.mark.parametrize(
    ("text", "num_seg"),
    [("", 0), ("No target.<|im_end|>", 0), ("Sure, [SEG]", 0), ("[SEG] [SEG]", 1), (SAYS_SEG, 1)],
)
def test_only_a_seg_that_was_read_gives_a_mask(sa2va_i, frames, text, num_seg):
    answer = segment_one(sa2va_i, frames[:2], text)
    assert (answer.text, answer.num_seg) == (text, num_seg)
    assert [sure is not None for sure in answer.confidence] == [num_seg > 0] * 2
    assert np.asarray(answer.masks).any() == bool(num_seg)


def test_empty_answers_keep_their_place_among_others(sa2va_i, frames):
    answers = ["No.<|im_end|>", ANSWERS[1], "No.<|im_end|>"]
    found = sa2va_i.segment(frames[:3], SENTENCES, answers=answers)
    assert [np.asarray(answer.masks).any() for answer in found] == [False, True, False]
    alone = sa2va_i.segment(frames[:3], SENTENCES[1:2], answers=answers[1:2])[0]
    assert iou(np.asarray(found[1].masks), np.asarray(alone.masks)) > 0.999


def test_no_sentences_no_answers(sa2va_i, frames):
    assert sa2va_i.segment(frames, []) == []


def test_bfloat16_runs_and_finds_nearly_the_same(sa2va_i, frames):
    model = load(TINY_I, "cpu", "bfloat16")
    assert {value.dtype for value in model.network.parameters()} == {model.dtype}
    for procedure in NAMES:
        settings = Settings(procedure=procedure, frames=3)
        exact = sa2va_i.segment(frames, SENTENCES, settings, answers=ANSWERS)
        rough = model.segment(frames, SENTENCES, settings, answers=ANSWERS)
        agreement = [
            iou(np.asarray(one.masks), np.asarray(other.masks))
            for one, other in zip(exact, rough, strict=True)
        ]
        assert min(agreement) > 0.9, (procedure, agreement)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"answers": ["one"]}, "1 answers for 3 sentences"),
        ({"sentences": SENTENCES[0]}, "must be a list; for one: "),
        ({"frames": np.zeros((2, 8, 8, 3), np.float32)}, "float32"),
        ({"frames": np.zeros((2, 8, 8), np.uint8)}, r"\(2, 8, 8\)"),
        ({"frames": np.zeros((0, 8, 8, 3), np.uint8)}, r"\(0, 8, 8, 3\)"),
    ],
)
def test_refused_calls(sa2va_i, frames, change, says):
    call = {"frames": frames, "sentences": SENTENCES} | change
    with pytest.raises(InputError, match=says):
        sa2va_i.segment(**call)


def test_a_prompt_longer_than_the_language_model_knows_is_refused(sa2va, frames, monkeypatch):
    monkeypatch.setattr(sa2va.config.llm, "max_position_embeddings", 100)
    with pytest.raises(InputError, match="set frames = 3 or lower") as error:
        sa2va.segment(frames, SENTENCES, Settings(frames=5))
    assert all(f'"{sentence}": its prompt has ' in str(error.value) for sentence in SENTENCES)
    question = PROCEDURES["sa2va"].question
    for images in (1, 3):
        make_prompts(sa2va.backbone, SENTENCES[:2], images, (120, 160), Settings(), question)
    one = Settings(frames=1)
    assert len(sa2va.segment(frames[:1], SENTENCES[:1], one, answers=ANSWERS[:1])) == 1


@pytest.mark.parametrize("word", ["</img>", "<IMG_CONTEXT>", "[SEG]", "<|im_end|>"])
def test_a_special_token_in_a_sentence_is_text(sa2va_i, frames, word):
    """It changes its own question only: what is shared with other sentences stays as it is."""
    sentences = [f"the disc {word} on the left", SENTENCES[1]]
    shown = 2, (8, 8), Settings(), PROCEDURES["sa2va"].question
    prompts = make_prompts(sa2va_i.backbone, sentences, *shown)
    plain = make_prompts(sa2va_i.backbone, SENTENCES[1:2], *shown)[0]
    assert prompts[0].ids[: prompts[0].shared] == plain.ids[: plain.shared]
    assert prompts[1] == plain
    token = sa2va_i.tokenizer.find(word)
    assert token is not None
    assert prompts[0].question.count(token) == plain.question.count(token)
    forced = {"answers": ["It is [SEG].<|im_end|>"]}
    settings = Settings(frames=2)
    beside = sa2va_i.segment(frames[:2], sentences, settings, answers=forced["answers"] * 2)[1]
    alone = sa2va_i.segment(frames[:2], sentences[1:], settings, **forced)[0]
    assert iou(np.asarray(beside.masks), np.asarray(alone.masks)) > 0.999


def test_the_shared_prefix_is_known_by_construction(sa2va_i):
    """Even where the end of an image stands in the question as a token."""
    plain = sa2va_i.backbone.prompt(3, "\nPlease segment it.", (8, 8), Settings())
    tricky = sa2va_i.backbone.prompt(3, "\nPlease segment </img> it.", (8, 8), Settings())
    assert tricky.shared == plain.shared
    assert tricky.ids[: tricky.shared] == plain.ids[: plain.shared]


def test_odds_of_any_size_are_a_probability():
    assert [Reply(yes_odds=odds).p_yes for odds in (-900.0, 0.0, 900.0)] == [0, 0.5, 1]
    assert Reply(yes_odds=1.5).p_yes == pytest.approx(np.exp(1.5) / (1 + np.exp(1.5)))
    assert Reply().p_yes is None


@pytest.mark.parametrize("name", ["sa2va", "sa2va_i"])
def test_asked_whether_it_is_there_alone_and_beside_others(name, frames, request):
    """A question apart: it changes no answer and no mask, and depends on its sentence alone."""
    model, settings = request.getfixturevalue(name), Settings(frames=2)
    asked = replace(settings, ask=True)
    silent = model.segment(frames[:2], SENTENCES, settings, answers=ANSWERS)
    beside = model.segment(frames[:2], SENTENCES, asked, answers=ANSWERS)
    for one, other in zip(silent, beside, strict=True):
        assert one.p_yes is None
        assert other == replace(one, masks=other.masks, p_yes=other.p_yes)
        assert np.array_equal(one.masks.bits, other.masks.bits)
    for number, answer in enumerate(beside):
        part = slice(number, number + 1)
        [alone] = model.segment(frames[:2], SENTENCES[part], asked, answers=ANSWERS[part])
        assert answer.p_yes == pytest.approx(alone.p_yes, rel=1e-4)
    assert len({answer.p_yes for answer in beside}) == len(SENTENCES)


def test_a_tokenizer_that_begins_yes_and_no_alike_cannot_be_asked(sa2va, frames, monkeypatch):
    encode = sa2va.tokenizer.encode_answer
    monkeypatch.setattr(sa2va.tokenizer, "encode_answer", lambda text: [1, *encode(text)])
    with pytest.raises(InputError, match="ask = false"):
        sa2va.segment(frames[:1], SENTENCES, Settings(ask=True, max_new_tokens=1))
