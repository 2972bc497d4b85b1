"""What depends on the video alone is computed once for all its sentences, and changes nothing."""

import weakref
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from models.cases import assert_same_masks
from models.conftest import ANSWERS, SENTENCES
from models.trace import hooked

from submission.models.sa2va import language, model
from submission.models.sa2va.answer import Answer
from submission.models.sa2va.internvl.prompt import IMAGE_END, build_prompt
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.procedures import PROCEDURES as WAYS
from submission.models.sa2va.settings import Settings
from submission.models.workload import Limits

PROCEDURES = ("sa2va", "sa2va-i")
SETTINGS = {name: Settings(procedure=name, frames=3) for name in PROCEDURES}


def limited(model: Sa2VA, **limits: int) -> Sa2VA:
    """The same network with other limits."""
    return Sa2VA(model.backbone, Limits(**limits))


def agree(ours: list[Answer], others: list[Answer]) -> None:
    for one, other in zip(ours, others, strict=True):
        assert (one.text, one.num_seg) == (other.text, other.num_seg)
        assert_same_masks(np.asarray(one.masks), np.asarray(other.masks))


def same_bytes(ours: list[Answer], others: list[Answer]) -> bool:
    pairs = zip(ours, others, strict=True)
    return all(np.array_equal(one.masks.bits, other.masks.bits) for one, other in pairs)


def count(model: Sa2VA, frames: np.ndarray, procedure: str) -> tuple[Counter[str], list[int]]:
    """Images and frames encoded, and the lengths of what the language model read, call by call."""
    counted: Counter[str] = Counter()
    lengths: list[int] = []
    network = model.network
    hooks = {
        network.grounding.image_encoder: lambda _, inputs, __: counted.update(
            images=len(inputs[0])
        ),
        network.vision.encoder: lambda _, inputs, __: counted.update(
            key_frames=len(inputs[0]), vision_passes=1
        ),
        network.language.model: lambda *call: lengths.append(call[-1].last_hidden_state.shape[1]),
    }
    with hooked(hooks):
        model.segment(frames, SENTENCES, SETTINGS[procedure], answers=ANSWERS)
    return counted, lengths


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_a_video_is_encoded_once_whatever_is_asked_of_it(sa2va_i, frames, procedure):
    counted, lengths = count(sa2va_i, frames, procedure)
    assert counted == {"images": len(frames), "key_frames": 3, "vision_passes": 1}

    prompts = [prompt_ids(sa2va_i, sentence, procedure) for sentence in SENTENCES]
    answers = [sa2va_i.tokenizer.encode_answer(answer) for answer in ANSWERS]
    prefix = max(i for i, token in enumerate(prompts[0]) if token == image_end(sa2va_i)) + 1
    questions = sum(len(ids) - prefix for ids in prompts)
    assert lengths[:2] == [prefix, questions]
    assert sum(lengths[2:]) == sum(len(ids) - 1 for ids in answers)
    assert len(lengths) - 2 == max(len(ids) - 1 for ids in answers)  # steps are taken together


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_small_limits_encode_nothing_twice(sa2va_i, frames, procedure):
    model = limited(sa2va_i, sentences_at_once=1, objects_at_once=1, images_at_once=3)
    counted, lengths = count(model, frames, procedure)
    assert counted == {"images": len(frames), "key_frames": 3, "vision_passes": 1}
    _, together = count(sa2va_i, frames, procedure)
    assert lengths[0] == together[0]
    assert sum(lengths) == sum(together)


def test_what_the_language_model_remembers_is_gone_before_objects_are_followed(
    sa2va, frames, monkeypatch
):
    answer, ground = language.answer, model.follow
    cached, alive = [], []

    def note_answer(llm, prefix, *arguments):
        replies = answer(llm, prefix, *arguments)
        cached.extend(weakref.ref(layer.keys) for layer in prefix.cache.layers)
        alive.append(sum(tensor() is not None for tensor in cached))
        return replies

    def note_ground(*arguments):
        alive.append(sum(tensor() is not None for tensor in cached))
        return ground(*arguments)

    monkeypatch.setattr(language, "answer", note_answer)
    monkeypatch.setattr(model, "follow", note_ground)
    sa2va.segment(frames, SENTENCES, SETTINGS["sa2va"], answers=ANSWERS)
    assert alive == [len(cached), 0]
    assert cached


def prompt_ids(model: Sa2VA, sentence: str, procedure: str) -> list[int]:
    return model.tokenizer.encode(
        build_prompt(
            model.config.template, WAYS[procedure].question(sentence), 3,
            model.config.tokens_per_frame,
        )
    )  # fmt: skip


def image_end(model: Sa2VA) -> int:
    return model.tokenizer.encode_answer(IMAGE_END)[0]


@pytest.mark.parametrize("procedure", PROCEDURES)
@pytest.mark.parametrize(
    "limits",
    [
        {"objects_at_once": 1},
        {"objects_at_once": 2},
        {"sentences_at_once": 1},
        {"sentences_at_once": 2},
        {"images_at_once": 4},
    ],
    ids=str,
)
def test_limits_bound_memory_and_not_results(sa2va_i, frames, procedure, limits):
    together = sa2va_i.segment(frames, SENTENCES, SETTINGS[procedure], answers=ANSWERS)
    assert any(np.asarray(answer.masks).any() for answer in together)
    agree(
        limited(sa2va_i, **limits).segment(frames, SENTENCES, SETTINGS[procedure], answers=ANSWERS),
        together,
    )


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_an_answer_does_not_depend_on_what_else_is_asked(sa2va_i, frames, procedure):
    together = sa2va_i.segment(frames, SENTENCES, SETTINGS[procedure], answers=ANSWERS)
    alone = [
        sa2va_i.segment(frames, [sentence], SETTINGS[procedure], answers=[answer])[0]
        for sentence, answer in zip(SENTENCES, ANSWERS, strict=True)
    ]  # fmt: skip
    agree(alone, together)
    turned = sa2va_i.segment(frames, SENTENCES[::-1], SETTINGS[procedure], answers=ANSWERS[::-1])
    agree(turned[::-1], together)


def test_the_same_sentence_twice_gives_the_same_answer_twice(sa2va_i, frames):
    twice = sa2va_i.segment(frames, [SENTENCES[0]] * 2, answers=[ANSWERS[0]] * 2)
    agree(twice[:1], twice[1:])


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_the_same_call_gives_the_same_bytes(sa2va_i, frames, procedure):
    first = sa2va_i.segment(frames, SENTENCES, SETTINGS[procedure], answers=ANSWERS)
    again = sa2va_i.segment(frames, SENTENCES, SETTINGS[procedure], answers=ANSWERS)
    assert same_bytes(first, again)
    other = sa2va_i.segment(
        frames, SENTENCES, replace(SETTINGS[procedure], frames=2), answers=ANSWERS
    )
    assert not same_bytes(first, other)


def test_what_sentences_see_differs(sa2va_i, frames):
    """Otherwise the tests above would compare equal things."""
    masks = [
        np.asarray(answer.masks)
        for answer in sa2va_i.segment(frames, SENTENCES, SETTINGS["sa2va-i"], answers=ANSWERS)
    ]
    with pytest.raises(AssertionError):
        assert_same_masks(masks[0], masks[1])
