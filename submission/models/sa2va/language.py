"""Read the frames once, then answer all sentences of a video together.

The prefix (up to the end of the last image) is the same for every sentence of a video: it goes
through the language model once and its key-value cache is shared, never copied. The sentences are
packed behind it as one sequence in which each sees the prefix and itself alone, with positions that
start again after the prefix; so nothing is padded and no sentence knows of another.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.attention import sdpa_kernel
from transformers import DynamicCache, PreTrainedModel

from submission.models.finite import FiniteOutputs
from submission.models.sam2.attention_kernel import UNPLANNED


@dataclass(frozen=True)
class Decoding:
    """When an answer ends, and which of its tokens asks for a mask."""

    seg_id: int
    eos_id: int
    max_new_tokens: int
    has_stopped: Callable[[Sequence[int]], bool]  # stop words, on the ids generated so far


@dataclass
class Reply:
    """The answer to one sentence while it grows."""

    ids: list[int] = field(default_factory=list)
    seg_states: list[Tensor] = field(default_factory=list)  # (C,) last states whose INPUT is [SEG]
    yes_odds: float | None = None  # log-odds of "yes" against "no" to another question, if asked

    @property
    def p_yes(self) -> float | None:
        """The same as a probability, 0..1."""
        return None if self.yes_odds is None else (1 + math.tanh(self.yes_odds / 2)) / 2


@dataclass(frozen=True)
class Prefix:
    """The frames as the language model remembers them."""

    cache: DynamicCache
    length: int  # tokens
    next_position: int  # of the token behind it; some models count an image by its sides


def read_prefix(
    llm: PreTrainedModel, embeddings: Tensor, positions: Tensor | None = None, **more: Any
) -> Prefix:
    """Run prompt embeddings (N, C) through the language model and keep its cache.

    `positions` (axes, N) are those of a model that does not count tokens; `more` goes to the model.
    """
    cache = DynamicCache(config=llm.config)
    with sdpa_kernel(UNPLANNED):
        llm.model(
            inputs_embeds=embeddings[None], past_key_values=cache, use_cache=True,
            position_ids=None if positions is None else positions[:, None], **more,
        )  # fmt: skip
    behind = len(embeddings) if positions is None else int(positions.max()) + 1
    return Prefix(cache, len(embeddings), behind)


def answer(
    llm: PreTrainedModel,
    prefix: Prefix,
    questions: Sequence[Sequence[int]],
    decoding: Decoding,
    forced: Sequence[Sequence[int]] | None = None,
) -> list[Reply]:
    """Answer every question (token ids after the prefix) greedily, all of them step by step.

    `forced` gives each answer's token ids instead of the model's own choice (teacher forcing). The
    state of a [SEG] token is what `model` gives at the step that reads the
    token; a [SEG] at the very end of an answer is never read and has none, as in the reference.
    The cache is given back as it was. Raises NotFinite when the model's choice is no number.
    """
    with _PackedAnswers(llm, prefix) as packed:
        return _answer(packed, questions, decoding, forced)


def _answer(
    packed: "_PackedAnswers", questions: Sequence[Sequence[int]], decoding: Decoding,
    forced: Sequence[Sequence[int]] | None,
) -> list[Reply]:  # fmt: skip
    llm = packed.llm
    states = packed.read(questions)
    replies = [Reply() for _ in questions]
    active = [i for i in range(len(questions)) if forced is None or forced[i]]
    states = states[active]
    while active:
        finite = FiniteOutputs()
        logits = llm.lm_head(states)
        choices = logits.argmax(dim=-1)
        # NaN wins an argmax, and so does infinity: the chosen ones tell of all.
        finite.look(logits.gather(1, choices[:, None]))
        finite.refuse("the choice of the next token")
        for i, choice in zip(active, choices.tolist(), strict=True):
            reply = replies[i]
            reply.ids.append(choice if forced is None else forced[i][len(reply.ids)])
        active = [i for i in active if not _is_done(replies[i], i, decoding, forced)]
        if not active:
            break
        states = packed.step([replies[i].ids[-1] for i in active], active)
        for state, i in zip(states, active, strict=True):
            if replies[i].ids[-1] == decoding.seg_id:
                replies[i].seg_states.append(state)
    return replies


def choose_first(
    llm: PreTrainedModel,
    prefix: Prefix,
    questions: Sequence[Sequence[int]],
    yes: Sequence[int],
    no: Sequence[int],
) -> list[float]:
    """Return for every question the log-odds that its answer begins with `yes`, not with `no`.

    Both are token ids, any of which will do; tokens beside them do not count. One step, all
    questions together; the cache is given back as it was. Raises NotFinite.
    """
    with _PackedAnswers(llm, prefix) as packed:
        logits = llm.lm_head(packed.read(questions)).float()
    odds = logits[:, list(yes)].logsumexp(dim=1) - logits[:, list(no)].logsumexp(dim=1)
    finite = FiniteOutputs()
    finite.look(odds)
    finite.refuse('the choice between "yes" and "no"')
    return odds.tolist()  # type: ignore[no-any-return]


def _is_done(
    reply: Reply, index: int, decoding: Decoding, forced: Sequence[Sequence[int]] | None
) -> bool:
    if forced is not None:
        return len(reply.ids) == len(forced[index])
    return (
        reply.ids[-1] == decoding.eos_id
        or len(reply.ids) >= decoding.max_new_tokens
        or decoding.has_stopped(reply.ids)
    )


class _PackedAnswers:
    """Several sequences behind one prefix, in one cache of batch size 1, until the block ends."""

    def __init__(self, llm: PreTrainedModel, prefix: Prefix) -> None:
        self.llm = llm
        self.prefix = prefix
        device = llm.lm_head.weight.device
        self.owners = torch.empty(0, dtype=torch.long, device=device)
        self.lengths: dict[int, int] = {}  # tokens of each sequence behind the prefix
        self.positions = torch.empty(0, dtype=torch.long, device=device)

    def read(self, questions: Sequence[Sequence[int]]) -> Tensor:
        """Append whole questions, one a sequence; return the last state of each (n, C)."""
        owners = [i for i, ids in enumerate(questions) for _ in ids]
        states = self.step([token for ids in questions for token in ids], owners)
        ends = torch.tensor([len(ids) for ids in questions]).cumsum(0) - 1
        return states[ends]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the prefix alone in the cache, also where a step ended in its middle."""
        layers: Sequence[Any] = self.prefix.cache.layers
        for layer in layers:
            if (behind := layer.get_seq_length() - self.prefix.length) > 0:
                layer.crop(-behind)  # minus: tokens to remove

    def step(self, tokens: Sequence[int], owners: Sequence[int]) -> Tensor:
        """Append tokens, each to the sequence that owns it; return their last states (n, C)."""
        device = self.owners.device
        positions = [self._next_position(owner) for owner in owners]
        new_owners = torch.tensor(owners, device=device)
        new_positions = torch.tensor(positions, device=device)
        self.owners = torch.cat([self.owners, new_owners])
        self.positions = torch.cat([self.positions, new_positions])
        own = new_owners[:, None] == self.owners
        past = new_positions[:, None] >= self.positions
        seen = torch.cat([own.new_ones(len(tokens), self.prefix.length), own & past], dim=1)
        embed = self.llm.get_input_embeddings()
        with sdpa_kernel(UNPLANNED):
            output = self.llm.model(
                inputs_embeds=embed(torch.tensor(tokens, device=device))[None],
                position_ids=new_positions[None],
                attention_mask=seen[None, None],
                past_key_values=self.prefix.cache,
                use_cache=True,
            )
        return output.last_hidden_state[0]  # type: ignore[no-any-return]

    def _next_position(self, owner: int) -> int:
        length = self.lengths.get(owner, 0)
        self.lengths[owner] = length + 1
        return self.prefix.next_position + length
