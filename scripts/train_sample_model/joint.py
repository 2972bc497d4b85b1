"""Both halves together: the masks of a sentence teach its embedding, as Sa2VA is trained."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from scripts.train_sample_model.batches import Batch, targets_mask
from scripts.train_sample_model.grounding_half import GroundingHalf, Shown, draw_shown
from scripts.train_sample_model.language_half import LanguageHalf, draw_count
from scripts.train_sample_model.loop import Losses, Stage, stretched
from scripts.train_sample_model.questions import NO_MEANING, Questions

CLIPS, TRACKED = 12, 3


class Joint(nn.Module):
    """The two halves, guides included."""

    def __init__(self, language: LanguageHalf, grounding: GroundingHalf) -> None:
        super().__init__()
        self.language, self.grounding = language, grounding

    def step(self, rng: random.Random, _: float) -> Losses:
        """Read clips, answer, and segment for one answer of each clip."""
        shown = draw_shown(
            self.grounding.painter, rng, CLIPS, draw_count(rng, self.language.pictures), TRACKED
        )
        told, embedded, questions = self.language.question_losses(
            first_pictures(shown.batch, shown.num_prompted), rng
        )
        rows, chosen = choose_questions(questions, rng)
        part = Shown(pick(shown.batch, rows), shown.num_prompted)
        targets = [questions.rows[b][k].targets for b, k in zip(rows, chosen, strict=True)]
        seen = self.grounding.losses(
            part,
            embedded[torch.tensor(rows), torch.tensor(chosen)],
            targets_mask(part.batch, targets),
            rng.choice(("sa2va", "sa2va-i")),
        )
        return {**told, **seen, "loss": told["loss"] + seen["loss"], "masks": seen["loss"]}

    def groups(self) -> list[dict[str, Any]]:
        """All parameters at one rate."""
        return [{"params": list(self.parameters())}]


def first_pictures(batch: Batch, count: int) -> Batch:
    """The pictures that the language model reads."""
    times = [own[:count] for own in batch.times]
    return replace(
        batch, times=times, frames=batch.frames[:, :count], owners=batch.owners[:, :count]
    )


def pick(batch: Batch, rows: Sequence[int]) -> Batch:
    """Some clips of a batch."""
    return Batch(
        [batch.scenes[b] for b in rows], [batch.times[b] for b in rows],
        batch.frames[list(rows)], batch.owners[list(rows)],
    )  # fmt: skip


def choose_questions(questions: Questions, rng: random.Random) -> tuple[list[int], list[int]]:
    """One question with a target for each clip that has one, about motion where there is one."""
    rows, chosen = [], []
    for b, row in enumerate(questions.rows):
        found = [k for k, question in enumerate(row) if question.targets]
        motion = [k for k in found if row[k].meaning != NO_MEANING]
        if found:
            rows.append(b)
            chosen.append(rng.choice(motion or found))
    return rows, chosen


def stages(joint: Joint, scale: float) -> list[Stage]:
    """The last stretch; `scale` stretches or shortens it."""
    return [stretched(Stage("joint", 250, joint.step, 5e-4, joint.groups, decay_from=0.0), scale)]
