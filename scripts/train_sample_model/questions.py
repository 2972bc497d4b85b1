"""Questions about the clips of a batch, with the answers to learn and where to look for them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from scripts.sample_data.scene import COLOURS, Scene
from scripts.sample_data.sentences import MORE_STATEMENTS, STATEMENTS, worded_sentences
from scripts.train_sample_model.batches import colours_of
from scripts.train_sample_model.lessons import draw_sentence
from scripts.train_sample_model.sizes import CELLS
from scripts.train_sample_model.words import COLOUR_NAMES, END, FOUND, NOT_THERE
from submission.models.sa2va.internvl.prompt import IMAGE_CONTEXT, IMAGE_END, build_prompt
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.tokenizer import SEG, Tokenizer

MEANINGS = [statement.meaning for statement in (*STATEMENTS, *MORE_STATEMENTS)]
NO_MEANING = -1  # of a question that names a colour
NO_LABEL = -100  # a token that is not to be learned
BY_COLOUR, NOBODY = 0.1, 0.2  # shares of questions that name a colour; that mean nobody
GAPPED, DROPPED = 0.5, 0.25  # where words go missing: share of sentences, and of their words
TEMPLATE = "qwen_chat"


@dataclass(frozen=True)
class Question:
    """Token ids behind the frames: the question and its answer."""

    ids: list[int]
    words: tuple[int, int]  # where the sentence itself begins and ends
    answer: int  # where the answer begins
    seg: int | None  # where [SEG] is
    meaning: int  # index into MEANINGS, or NO_MEANING
    targets: tuple[int, ...]


@dataclass(frozen=True)
class Questions:
    """K questions for each of B clips, padded to L tokens."""

    rows: list[list[Question]]
    ids: Tensor  # long (B, K, L)
    labels: Tensor  # long (B, K, L): ids of the answers, NO_LABEL elsewhere
    colours: Tensor  # float (B, K, colours): those of the targets
    meanings: Tensor  # long (B, K)
    asks: Tensor  # long (B, K): the last token before the answer
    segs: Tensor  # long (B, K): [SEG]; the last token before the answer where there is none
    has_target: Tensor  # bool (B, K)
    words: Tensor  # bool (B, K, L): the tokens of the sentence itself


class Asker:
    """Words questions as the kit's prompts do, and keeps the tokens of each sentence."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._cached = cache(self._encode)
        self._before = len(tokenizer.encode("\nPlease segment"))
        self._after = len(tokenizer.encode(f".{END}\n<|im_start|>assistant\n"))

    def prefix(self, count: int) -> Tensor:
        """Token ids up to the last `</img>` of a prompt with `count` pictures."""
        ids = self.tokenizer.encode(build_prompt(TEMPLATE, "", count, CELLS**2))
        end = self.tokenizer.find(IMAGE_END)
        return torch.tensor(ids[: len(ids) - ids[::-1].index(end)])  # type: ignore[arg-type]

    def context_id(self) -> int:
        """The token that visual tokens take the place of."""
        return self.tokenizer.find(IMAGE_CONTEXT) or 0

    def ask(
        self, scenes: Sequence[Scene], rng: random.Random, count: int, *, with_gaps: bool = False
    ) -> Questions:
        """Draw `count` questions for each scene; `with_gaps`, some sentences lack words."""
        rows = [self._draw(scene, rng, count) for scene in scenes]
        if with_gaps:
            rows = [[drop_words(question, rng) for question in row] for row in rows]
        return _pad(rows, scenes)

    def _draw(self, scene: Scene, rng: random.Random, count: int) -> list[Question]:
        clear = list(worded_sentences(scene, rng))
        meant = [sentence for sentence in clear if sentence.targets]
        nobody = [sentence for sentence in clear if not sentence.targets]
        drawn = []
        for _ in range(count):
            share = rng.random()
            if share < BY_COLOUR or not meant or not nobody:
                text, targets = _by_colour(scene, rng)
                drawn.append(self._question(text, targets, NO_MEANING))
            else:
                asked = nobody if share < BY_COLOUR + NOBODY else meant
                sentence = draw_sentence(asked, rng)
                meaning = MEANINGS.index(sentence.meaning)
                drawn.append(self._question(sentence.text, sentence.targets, meaning))
        return drawn

    def _question(self, text: str, targets: tuple[int, ...], meaning: int) -> Question:
        asked, answer = self._cached(text), self._cached_answer(bool(targets))
        seg = len(asked) + answer.index(self.tokenizer.find(SEG)) if targets else None
        words = (self._before, len(asked) - self._after)
        return Question([*asked, *answer], words, len(asked), seg, meaning, targets)

    def _cached_answer(self, found: bool) -> list[int]:
        return self.tokenizer.encode_answer(FOUND if found else NOT_THERE)

    def _encode(self, text: str) -> list[int]:
        ids = self.tokenizer.encode(
            build_prompt(TEMPLATE, PROCEDURES["sa2va"].question(text), 1, 1)
        )
        return ids[ids.index(self.tokenizer.find(IMAGE_END)) + 1 :]  # type: ignore[arg-type]


def drop_words(question: Question, rng: random.Random) -> Question:
    """Leave words out of a sentence, so that no phrase is learned as one whole.

    A held-out phrase is made of known words; each of them should mean something by itself.
    """
    if question.meaning == NO_MEANING or rng.random() >= GAPPED:
        return question
    begin, end = question.words
    kept = [token for token in question.ids[begin:end] if rng.random() >= DROPPED]
    gone = end - begin - len(kept)
    return replace(
        question, ids=[*question.ids[:begin], *kept, *question.ids[end:]],
        words=(begin, end - gone), answer=question.answer - gone,
        seg=None if question.seg is None else question.seg - gone,
    )  # fmt: skip


def verdicts(scene: Scene) -> Tensor:
    """What is true of each shape: float (shapes, meanings), 1, 0, or nan where it is unclear."""
    rows = [
        [statement.holds(shape, scene) for statement in (*STATEMENTS, *MORE_STATEMENTS)]
        for shape in scene.shapes
    ]
    return torch.tensor([[float("nan") if v is None else float(v) for v in row] for row in rows])


def _by_colour(scene: Scene, rng: random.Random) -> tuple[str, tuple[int, ...]]:
    several = len(scene.shapes) > 1 and rng.random() < 0.25
    targets = tuple(rng.sample(range(len(scene.shapes)), 2 if several else 1))
    names = [COLOUR_NAMES[COLOURS.index(scene.shapes[index].colour)] for index in targets]
    noun = rng.choice(("one", "shape"))
    return "The " + " and the ".join(f"{name} {noun}" for name in names), targets


def _pad(rows: list[list[Question]], scenes: Sequence[Scene]) -> Questions:
    longest = max(len(question.ids) for row in rows for question in row)
    ids = torch.zeros(len(rows), len(rows[0]), longest, dtype=torch.long)
    labels = torch.full_like(ids, NO_LABEL)
    words = torch.zeros(ids.shape, dtype=torch.bool)
    for b, row in enumerate(rows):
        for k, question in enumerate(row):
            tokens = torch.tensor(question.ids)
            ids[b, k, : len(tokens)] = tokens
            labels[b, k, question.answer : len(tokens)] = tokens[question.answer :]
            words[b, k, question.words[0] : question.words[1]] = True
    asks = torch.tensor([[q.answer - 1 for q in row] for row in rows])
    segs = torch.tensor([[q.answer - 1 if q.seg is None else q.seg for q in row] for row in rows])
    return Questions(
        rows, ids, labels,
        torch.stack([
            torch.stack([colours_of(scene, q.targets) for q in row])
            for scene, row in zip(scenes, rows, strict=True)
        ]),
        torch.tensor([[q.meaning for q in row] for row in rows]),
        asks, segs, torch.tensor([[bool(q.targets) for q in row] for row in rows]), words,
    )  # fmt: skip
