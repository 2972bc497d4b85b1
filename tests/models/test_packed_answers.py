"""Answers packed behind one shared prefix equal plain full sequences, for every kind of LLM."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from models.cases import assert_close
from models.checkpoints import TINY, TINY_I, copy_checkpoint, random_values
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from submission.models.sa2va import language
from submission.models.sa2va.loading import load
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.settings import Settings

SEG, EOS = 9, 3
LAYERS = "language_model.model.layers."
QUESTIONS = ([11, 12, 13], [14], [11, 12, 15, 16, 17, 18])
ANSWERS = ([20, SEG, 21, SEG, EOS], [SEG, EOS], [22, 23, 24, 25, 26, 27, SEG, 28, EOS])
ARCHITECTURES = ("Qwen2ForCausalLM", "Qwen3ForCausalLM", "InternLM2ForCausalLM")


def qwen3(config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Put a random Qwen3 under the names of a released checkpoint in place of the Qwen2."""
    llm = config["llm_config"]
    llm |= {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 24}
    heads, groups, size = llm["num_attention_heads"], llm["num_key_value_heads"], 24
    for key in [key for key in tensors if key.startswith(LAYERS) and ".self_attn." in key]:
        del tensors[key]
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(llm["num_hidden_layers"]):
        attention = f"{LAYERS}{layer}.self_attn"
        for part, rows in (("q", heads * size), ("k", groups * size), ("v", groups * size)):
            shapes[f"{attention}.{part}_proj.weight"] = (rows, llm["hidden_size"])
        shapes[f"{attention}.o_proj.weight"] = (llm["hidden_size"], heads * size)
        shapes[f"{attention}.q_norm.weight"] = shapes[f"{attention}.k_norm.weight"] = (size,)
    tensors |= random_values(shapes, seed=3)


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Sa2VA:
    if request.param == "Qwen3ForCausalLM":
        return load(copy_checkpoint(TINY, tmp_path / "qwen3", qwen3), "cpu", "float32")
    return load(TINY if request.param == "Qwen2ForCausalLM" else TINY_I, "cpu", "float32")


pytestmark = pytest.mark.usefixtures("without_gradients")


def frames_embeddings(llm: PreTrainedModel) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return 0.2 * torch.randn(40, llm.config.hidden_size, generator=generator)


def full_states(llm: PreTrainedModel, embeddings: Tensor, ids: Sequence[int]) -> Tensor:
    """Last states of one plain sequence: frames, question, answer; no cache, no packing."""
    words = llm.get_input_embeddings()(torch.tensor(ids))
    sequence = torch.cat([embeddings, words])[None]
    return llm.model(inputs_embeds=sequence, use_cache=False).last_hidden_state[0]


def decoding(max_new_tokens: int = 50, stop: Callable[..., bool] = lambda ids: False):
    return language.Decoding(SEG, EOS, max_new_tokens, stop)


def test_states_equal_those_of_plain_sequences(model):
    llm = model.network.language
    embeddings = frames_embeddings(llm)
    prefix = language.read_prefix(llm, embeddings)
    replies = language.answer(llm, prefix, QUESTIONS, decoding(), ANSWERS)
    for question, answer, reply in zip(QUESTIONS, ANSWERS, replies, strict=True):
        assert reply.ids == answer
        plain = full_states(llm, embeddings, [*question, *answer])[len(embeddings) :]
        places = [len(question) + i for i, token in enumerate(answer) if token == SEG]
        assert_close(torch.stack(reply.seg_states), plain[places], 1e-5)
        assert (plain[places] - plain[[place - 1 for place in places]]).abs().max() > 0.1


def test_greedy_answers_equal_those_of_plain_sequences(model):
    llm = model.network.language
    embeddings = frames_embeddings(llm)
    prefix = language.read_prefix(llm, embeddings)
    replies = language.answer(llm, prefix, QUESTIONS, decoding(max_new_tokens=12))
    for question, reply in zip(QUESTIONS, replies, strict=True):
        plain: list[int] = []
        while len(plain) < 12 and EOS not in plain:
            state = full_states(llm, embeddings, [*question, *plain])[-1]
            plain.append(int(llm.lm_head(state).argmax()))
        assert reply.ids == plain


def test_the_prefix_is_given_back_as_it_was(model):
    llm = model.network.language
    prefix = language.read_prefix(llm, frames_embeddings(llm))
    first = language.answer(llm, prefix, QUESTIONS, decoding(), ANSWERS)
    assert prefix.cache.get_seq_length() == prefix.length == 40
    again = language.answer(llm, prefix, QUESTIONS, decoding(), ANSWERS)
    for one, other in zip(first, again, strict=True):
        assert all(map(torch.equal, one.seg_states, other.seg_states))


def test_the_prefix_is_kept_once_however_many_sentences_share_it(model):
    """Values in the cache at every step: the prefix once, and each token that was read once."""
    llm = model.network.language
    prefix = language.read_prefix(llm, frames_embeddings(llm))
    layers = prefix.cache.layers
    a_token = sum(2 * layer.keys[:, :, 0].numel() for layer in layers)
    read, held = [], []

    def note(module: object, arguments: object, output: Any) -> None:
        assert output.hidden_states is None  # last states alone, of no layer below
        read.append(output.last_hidden_state.shape[1])
        held.append(sum(layer.keys.numel() + layer.values.numel() for layer in layers))

    handle = llm.model.register_forward_hook(note)
    try:
        language.answer(llm, prefix, QUESTIONS * 4, decoding(), ANSWERS * 4)
    finally:
        handle.remove()
    assert held == [(40 + sum(read[: step + 1])) * a_token for step in range(len(read))]
    assert read[0] == 4 * sum(map(len, QUESTIONS))
    assert read[1:] == [12, 8, 8, 8, 4, 4, 4, 4]  # a finished answer is not read on


def test_sentences_do_not_see_each_other(model):
    llm = model.network.language
    prefix = language.read_prefix(llm, frames_embeddings(llm))
    beside = language.answer(llm, prefix, QUESTIONS, decoding(), ANSWERS)
    for i, (question, answer) in enumerate(zip(QUESTIONS, ANSWERS, strict=True)):
        alone = language.answer(llm, prefix, [question], decoding(), [answer])[0]
        assert_close(torch.stack(alone.seg_states), torch.stack(beside[i].seg_states), 1e-5)


def test_odds_of_a_first_word_equal_those_of_plain_sequences(model):
    llm, yes, no = model.network.language, [5, 7], [6]
    embeddings = frames_embeddings(llm)
    prefix = language.read_prefix(llm, embeddings)
    together = language.choose_first(llm, prefix, QUESTIONS, yes, no)
    for question, odds in zip(QUESTIONS, together, strict=True):
        plain = llm.lm_head(full_states(llm, embeddings, question)[-1]).softmax(dim=-1)
        wanted = (plain[yes].sum() / plain[no].sum()).log()
        assert_close(torch.tensor(odds), wanted, 1e-4)
        [alone] = language.choose_first(llm, prefix, [question], yes, no)
        assert_close(torch.tensor(odds), torch.tensor(alone), 1e-5)
    assert prefix.cache.get_seq_length() == prefix.length
    assert max(together) - min(together) > 1e-3


@pytest.mark.parametrize(
    ("config", "network", "folder"),
    [(Qwen2Config, Qwen2ForCausalLM, "qwen2"), (Qwen3Config, Qwen3ForCausalLM, "qwen3")],
)
def test_qwen_checkpoints_hold_what_transformers_reads(tmp_path, config, network, folder):
    """The library's own class, filled under the checkpoint's own names, says the same."""
    path = copy_checkpoint(TINY, tmp_path / folder, qwen3 if folder == "qwen3" else None)
    stated = json.loads((path / "config.json").read_text())["llm_config"]
    theirs = network(config(**stated)).eval()
    values = {
        key.removeprefix("language_model."): value.float()
        for key, value in load_file(path / "model.safetensors").items()
        if key.startswith("language_model.")
    }
    theirs.load_state_dict(values, strict=True)
    ids = torch.tensor([[4, 8, 15, 16, 23, 42]])
    assert_close(load(path, "cpu", "float32").network.language(ids).logits, theirs(ids).logits)


# --- when an answer ends -------------------------------------------------------------------------
class Script(torch.nn.Module):
    """An output layer that says what each sentence is to answer, those that wait in order."""

    def __init__(self, scripts: Sequence[Sequence[int]], vocabulary: int) -> None:
        super().__init__()
        self.weight = torch.zeros(1)
        self.scripts = [list(script) for script in scripts]
        self.words = torch.eye(vocabulary)

    def forward(self, states: Tensor) -> Tensor:
        waiting = [script for script in self.scripts if script]
        assert len(states) == len(waiting), "asked for a sentence that has ended, or left one out"
        return self.words[[script.pop(0) for script in waiting]]


@contextmanager
def scripted(llm: PreTrainedModel, scripts: Sequence[Sequence[int]]) -> Iterator[None]:
    """Let a language model say these answers while the block runs, and all of them."""
    layer, script = llm.lm_head, Script(scripts, llm.config.vocab_size)
    llm.lm_head = script
    try:
        yield
    finally:
        llm.lm_head = layer
    assert not any(script.scripts), "ended too early"


def test_every_answer_ends_with_its_own_eos(sa2va):
    llm = sa2va.network.language
    prefix = language.read_prefix(llm, frames_embeddings(llm))
    with scripted(llm, ANSWERS):
        free = language.answer(llm, prefix, QUESTIONS, decoding())
    forced = language.answer(llm, prefix, QUESTIONS, decoding(), ANSWERS)
    assert [reply.ids for reply in free] == list(ANSWERS)
    for one, other in zip(free, forced, strict=True):
        assert len(one.seg_states) == one.ids.count(SEG)
        assert all(map(torch.equal, one.seg_states, other.seg_states))


def test_a_stop_word_and_the_longest_answer_end_one_too(sa2va):
    llm = sa2va.network.language
    prefix = language.read_prefix(llm, frames_embeddings(llm))
    until_7 = decoding(4, lambda ids: list(ids)[-1] == 7)
    answers = [[5, 6, 7], [7], [5, 5, SEG, SEG]]
    with scripted(llm, answers):
        replies = language.answer(llm, prefix, QUESTIONS, until_7)
    assert [reply.ids for reply in replies] == answers
    assert [len(reply.seg_states) for reply in replies] == [0, 0, 1]  # the last was not read


def test_an_answer_given_back_as_text_gives_the_same_masks(sa2va_i, frames):
    """Left to itself the model says what it is then forced to say: nothing changes."""
    said = ["Sure, [SEG].<|im_end|>", "It is [SEG] and\n[SEG].</s>", "No.<|im_end|>"]
    sentences = ["a", "b", "c"]
    with scripted(sa2va_i.network.language, [sa2va_i.tokenizer.encode_answer(t) for t in said]):
        free = sa2va_i.segment(frames[:4], sentences, Settings(frames=2, seg="union"))
    forced = sa2va_i.segment(frames[:4], sentences, Settings(frames=2, seg="union"), answers=said)
    assert [answer.text for answer in free] == [answer.text for answer in forced] == said
    assert [answer.num_seg for answer in free] == [1, 2, 0]
    for one, other in zip(free, forced, strict=True):
        assert (one.masks.bits == other.masks.bits).all()


def test_the_longest_answer_is_what_the_call_says(sa2va_i, frames):
    free = sa2va_i.segment(frames[:1], ["a"], Settings(max_new_tokens=3))[0]
    longer = sa2va_i.segment(frames[:1], ["a"], Settings(max_new_tokens=6))[0]
    assert len(free.text) < len(longer.text)
    assert longer.text.startswith(free.text)
