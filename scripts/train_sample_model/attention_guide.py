"""Guides on attention: [SEG] reads the words of its sentence, then looks at what they mean.

One head of a layer is told where to look; its true attention is computed again for the few tokens
that are asked, because the library's fast attention gives no weights away.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.train_sample_model.batches import Sightings
from scripts.train_sample_model.questions import NO_MEANING, Questions

READING = ((0, 2), (1, 2), (2, 3))  # (layer, head): reads the words
LOOKING = ((3, 0), (4, 0))  # looks at the shapes
LEAST = 1e-4  # attention, so that its logarithm stays finite


@dataclass(frozen=True)
class Sentences:
    """What the guides need of packed questions."""

    length: int  # tokens of the prefix
    positions: Tensor  # long (M, P): where visual tokens stand
    questions: Questions
    seen: Sightings

    @property
    def askers(self) -> Tensor:
        """Tokens that should look, long (B, 2K): each question's [SEG], each one's last token."""
        questions = self.questions
        starts = self.length + torch.arange(questions.ids.shape[1]) * questions.ids.shape[2]
        return torch.cat([starts + questions.segs, starts + questions.asks], dim=1)

    def words(self, size: int) -> Tensor:
        """For each asker the words of its sentence, bool (B, 2K, N)."""
        b, k, length = self.questions.ids.shape
        own = torch.zeros(b, k, k, length, dtype=torch.bool)
        own[:, torch.arange(k), torch.arange(k)] = self.questions.words
        behind = own.view(b, k, k * length)
        before = torch.zeros(b, k, size - k * length, dtype=torch.bool)
        return torch.cat([before, behind], dim=2).repeat(1, 2, 1)

    def shapes(self, size: int) -> Tensor:
        """For each asker the visual tokens of the shapes that its sentence means, (B, 2K, N)."""
        b, k, _ = self.questions.ids.shape
        meant = torch.zeros(b, k, size, dtype=torch.bool)
        tokens = self.positions[self.seen.picture, self.seen.token]
        for row, (clip, shape) in enumerate(
            zip(self.seen.clip.tolist(), self.seen.shape.tolist(), strict=True)
        ):
            for index, question in enumerate(self.questions.rows[clip]):
                if shape in question.targets:
                    meant[clip, index, tokens[row]] = True
        return meant.repeat(1, 2, 1)


def packed_mask(prefix: int, count: int, length: int) -> tuple[Tensor, Tensor]:
    """Who sees whom, bool (N, N), and positions (N,), of `count` questions behind one prefix."""
    owner = torch.cat([torch.zeros(prefix), torch.arange(count).repeat_interleave(length) + 1])
    index = torch.arange(len(owner))
    same = (owner[None] == 0) | (owner[None] == owner[:, None])
    positions = torch.cat([torch.arange(prefix), prefix + torch.arange(length).repeat(count)])
    return same & (index[None] <= index[:, None]), positions


def attention_losses(
    model: nn.Module, states: list[Tensor], sentences: Sentences
) -> tuple[Tensor, Tensor]:
    """How little the guided heads read the words, and how little they look at the shapes."""
    size = states[0].shape[1]
    questions = sentences.questions
    mask, positions = packed_mask(sentences.length, *questions.ids.shape[1:])
    askers = sentences.askers
    words, shapes = sentences.words(size), sentences.shapes(size)
    looks = shapes.any(dim=2) & (questions.meanings != NO_MEANING).repeat(1, 2)

    def loss(heads: tuple[tuple[int, int], ...], wanted: Tensor, who: Tensor) -> Tensor:
        seen = [
            attention(model, layer, head, states[layer], askers, mask, positions, wanted)[who]
            for layer, head in heads
        ]
        return -torch.stack(seen).clamp(min=LEAST).log().mean()

    return loss(READING, words, torch.ones_like(looks)), loss(LOOKING, shapes, looks)


def attention(
    model: nn.Module, layer: int, head: int, states: Tensor, askers: Tensor, mask: Tensor,
    positions: Tensor, wanted: Tensor,
) -> Tensor:  # fmt: skip
    """How much of one head's attention goes from askers (B, Q) to what is wanted (B, Q, N)."""
    block = model.layers[layer]  # type: ignore[index]
    own = block.self_attn
    normed = block.input_layernorm(states)
    group = own.num_key_value_groups
    rows = torch.arange(len(states))[:, None]
    query = _project(own.q_proj, normed[rows, askers], head, own.head_dim)
    key = _project(own.k_proj, normed, head // group, own.head_dim)
    cos, sin = model.rotary_emb(states, positions[None])  # type: ignore[operator]
    query = _turn(query, cos[0][askers], sin[0][askers])
    key = _turn(key, cos, sin)
    scores = query @ key.transpose(1, 2) * own.head_dim**-0.5
    weights = scores.masked_fill(~mask[askers], float("-inf")).softmax(dim=-1)
    return (weights * wanted).sum(dim=-1)


def _project(linear: nn.Linear, states: Tensor, head: int, size: int) -> Tensor:
    part = slice(head * size, (head + 1) * size)
    return F.linear(states, linear.weight[part], linear.bias[part])


def _turn(vectors: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = vectors.chunk(2, dim=-1)
    return vectors * cos + torch.cat([-right, left], dim=-1) * sin
