"""Queries of grouped heads one behind the other: the library's attention, and nothing repeated."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from models.cases import REFERENCE, assert_same_masks
from models.conftest import ANSWERS, SENTENCES
from models.plain_qwenvl import write_sa2va
from torch.testing import assert_close
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from submission.models.sa2va import grouped_heads
from submission.models.sa2va.grouped_heads import attend_in_groups, group_heads
from submission.models.sa2va.loading import load

WIDTH, SEEN = 16, 11


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def attended(monkeypatch) -> list[torch.Size]:
    """The shapes of the keys that torch's attention is given."""
    shapes, attend = [], F.scaled_dot_product_attention

    def spy(query, key, value, **named):
        shapes.append(key.shape)
        return attend(query, key, value, **named)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    return shapes


@pytest.mark.parametrize(
    ("heads", "groups", "tokens", "masked"),
    [(6, 2, 5, True), (6, 1, 5, True), (4, 4, 5, True), (6, 2, 1, True), (6, 2, 5, False)],
)
def test_it_is_the_library_s_attention(heads, groups, tokens, masked, attended):
    query = random(1, heads, tokens, WIDTH, seed=1)
    key, value = (random(1, groups, SEEN, WIDTH, seed=seed) for seed in (2, 3))
    mask = None
    if masked:
        mask = random(1, 1, tokens, SEEN, seed=4) > 0
        mask[..., 0] = True
    module = SimpleNamespace(num_key_value_groups=heads // groups, is_causal=True)
    found, _ = attend_in_groups(module, query, key, value, mask, scaling=0.3, dropout=0.0)
    assert [shape[1] for shape in attended] == [groups]
    wanted, _ = sdpa_attention_forward(module, query, key, value, mask, scaling=0.3)
    assert_close(found, wanted)
    assert found.shape == (1, tokens, heads, WIDTH)


@pytest.mark.parametrize("checkpoint", ["tiny_qwen2", "tiny_internlm2_i", "qwen3", "qwen2_5"])
def test_answers_and_masks_stay(checkpoint, frames, tmp_path):
    folder = REFERENCE / "models" / checkpoint
    if not folder.is_dir():
        folder = tmp_path / checkpoint
        write_sa2va(folder, checkpoint)
    plain, grouped = (load(folder, "cpu", "float32") for _ in range(2))
    calls = []

    def spy(*arguments, **named):
        calls.append(named)
        return attend_in_groups(*arguments, **named)

    grouped_heads.AttentionInterface.register(grouped_heads.NAME, spy)
    try:
        group_heads(grouped.network.language)
        answers = [model.segment(frames, SENTENCES, answers=ANSWERS) for model in (plain, grouped)]
    finally:
        grouped_heads.AttentionInterface.register(grouped_heads.NAME, attend_in_groups)
    assert calls
    for one, other in zip(*answers, strict=True):
        assert one.text == other.text
        assert_same_masks(other.masks, one.masks)
