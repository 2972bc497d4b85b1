"""The language half: vision, language model and projector learn to answer with colour codes.

Plain training stalls, so throw-away heads (none is in the checkpoint) say at several depths what
should be known there: what a visual token shows, how it moved, which statements are true of it.
[SEG], and the token before the answer, are asked by the same head which statement the sentence
makes: so a sentence and the shapes it means come to look alike, and attention can match them.
"""

import random
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.sample_data.scene import COLOURS
from scripts.train_sample_model.attention_guide import Sentences, attention_losses, packed_mask
from scripts.train_sample_model.batches import Batch, Sightings, draw_batch, find_shapes
from scripts.train_sample_model.facts import BACK, bce_where_known, displacements, facts_of
from scripts.train_sample_model.loop import Losses, Stage, stretched
from scripts.train_sample_model.pictures import Painter
from scripts.train_sample_model.questions import (
    MEANINGS,
    NO_LABEL,
    NO_MEANING,
    Asker,
    Questions,
)
from scripts.train_sample_model.sizes import CELLS, CODE_NORM, VISION_SIDE, codebook
from submission.models.sa2va.internvl.vision import IMAGENET_MEAN, IMAGENET_STD
from submission.models.sa2va.network import Network

PLACE_LAYER, MEANING_LAYER = 2, 3  # depths at which the guides ask
QUESTIONS = 8  # for each clip
NUM_COLOURS = len(COLOURS)


@dataclass(frozen=True)
class Read:
    """A batch as the language model has read it."""

    tokens: Tensor  # (B, M, P, C): visual tokens
    states: list[Tensor]  # (B, N, C) before the first layer, and after each
    positions: Tensor  # long (M, P): where visual tokens stand
    length: int  # tokens of the prefix


class LanguageHalf(nn.Module):
    """The organs and the guides."""

    def __init__(self, network: Network, asker: Asker, painter: Painter, pictures: int = 5) -> None:
        super().__init__()
        self.pictures = pictures  # of a clip, mostly
        self.vision, self.language = network.vision, network.language
        self.seg_projector = network.seg_projector
        size = network.language.config.hidden_size
        self.shows = nn.Linear(size, NUM_COLOURS * 4)  # presence, x, y, radius
        self.moved = _head(size, NUM_COLOURS * BACK * 3)
        self.colour = _head(size, NUM_COLOURS)
        self.means = _head(size, len(MEANINGS))  # shared by visual tokens and sentences
        self.means_of = _head(size, NUM_COLOURS * len(MEANINGS))  # for each colour in a token
        self.foresees = _head(size, NUM_COLOURS)  # before the answer: whom it will be about
        self.asker, self.painter, self.codes = asker, painter, codebook()

    # --- reading -----------------------------------------------------------------------------
    def look(self, frames: Tensor) -> Tensor:
        """Visual tokens (B, M, P, C) of pictures uint8 (B, M, S, S, 3)."""
        pixels = frames.flatten(0, 1).permute(0, 3, 1, 2).float()
        pixels = F.interpolate(pixels, (VISION_SIDE,) * 2, mode="bicubic", antialias=True)
        pixels = pixels.round().clamp(0, 255) / 255
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
        return self.vision((pixels - mean) / std).view(*frames.shape[:2], CELLS**2, -1)  # type: ignore[no-any-return]

    def read(self, frames: Tensor, questions: Questions | None, layers: int) -> Read:
        """Read pictures, and questions packed behind them, through the first layers."""
        tokens = self.look(frames)
        model = self.language.model
        ids = self.asker.prefix(frames.shape[1])
        context = ids == self.asker.context_id()
        prefix = model.embed_tokens(ids).expand(len(frames), -1, -1).clone()
        prefix[:, context] = tokens.flatten(1, 2)
        positions = torch.arange(len(ids))
        mask = None  # causal
        if questions is not None:
            prefix = torch.cat([prefix, model.embed_tokens(questions.ids).flatten(1, 2)], dim=1)
            mask, positions = packed_mask(len(ids), *questions.ids.shape[1:])
        states = [prefix]
        rotary = model.rotary_emb(prefix, positions[None])
        for layer in model.layers[:layers]:
            states.append(
                layer(
                    states[-1], attention_mask=None if mask is None else mask[None, None],
                    position_ids=positions[None], position_embeddings=rotary,
                )
            )  # fmt: skip
        where = context.nonzero()[:, 0].view(frames.shape[1], -1)
        return Read(tokens, states, where, len(ids))

    # --- guides on what is seen ----------------------------------------------------------------
    def showing_loss(self, tokens: Tensor, seen: Sightings) -> Tensor:
        """Each visual token knows the colours in it, and where and how large they are."""
        said = self.shows(tokens).view(*tokens.shape[:3], 4, NUM_COLOURS)
        at = (seen.clip, seen.picture, seen.token)
        present = torch.zeros_like(said[:, :, :, 0])
        present[(*at, seen.colour)] = 1
        inside = said[at].transpose(1, 2)[torch.arange(len(seen.clip)), seen.colour, 1:]
        bce = F.binary_cross_entropy_with_logits(said[:, :, :, 0], present)
        return 4 * bce + 2 * (inside - seen.inside).abs().mean()

    def motion_losses(self, read: Read, batch: Batch, seen: Sightings) -> dict[str, Tensor]:
        """Tokens know where their shapes were before, and at the end what is true of them."""
        at = (seen.clip, read.positions[seen.picture, seen.token])
        row = torch.arange(len(seen.clip))
        moved = self.moved(read.states[PLACE_LAYER][at])
        moved = moved.view(-1, NUM_COLOURS, BACK, 3)[row, seen.colour]
        true = displacements(seen, len(batch.scenes), batch.frames.shape[1])
        known = ~true.isnan()
        states = read.states[MEANING_LAYER][at]
        last = seen.is_last  # of what has left, too: where it was seen last tells that it leaves
        facts = facts_of(batch, seen)[last]
        of_colour = self.means_of(states[last]).view(-1, NUM_COLOURS, len(MEANINGS))
        of_colour = of_colour[torch.arange(len(facts)), seen.colour[last]]
        said = self.means(states[last])
        right = ((said > 0) == (facts > 0.5))[~facts.isnan()].float().mean()
        return {
            "moved": (moved - true)[known].abs().mean(),
            "meaning": bce_where_known(said, facts) + bce_where_known(of_colour, facts),
            "colour": F.cross_entropy(self.colour(states), seen.colour),
            "facts right": right,
        }

    # --- questions -------------------------------------------------------------------------------
    def answer_losses(self, read: Read, questions: Questions) -> tuple[dict[str, Tensor], Tensor]:
        """Losses on the words of answers and on [SEG]; and the embeddings (B, K, C) of [SEG]."""
        b, k, length = questions.ids.shape
        states = self.language.model.norm(read.states[-1][:, read.length :]).view(b, k, length, -1)
        labels = questions.labels[:, :, 1:]
        wanted = labels != NO_LABEL
        logits = self.language.lm_head(states[:, :, :-1][wanted])
        rows = torch.arange(b)[:, None], torch.arange(k)[None]
        before = states[(*rows, questions.asks)]
        first = self.language.lm_head(before)
        foreseen = F.binary_cross_entropy_with_logits(self.foresees(before), questions.colours)
        decision = labels[(*rows, questions.asks)]  # labels are shifted: the token that follows
        embedded = self.seg_projector(states[(*rows, questions.segs)])
        told = embedded @ self.codes.T / CODE_NORM**2  # (B, K, colours), 1 for a target's colour
        found = questions.has_target
        bce = F.binary_cross_entropy_with_logits(8 * (told - 0.5)[found], questions.colours[found])
        exact = ((told > 0.5) == (questions.colours > 0.5)).all(dim=-1).float()
        motion = found & (questions.meanings != NO_MEANING)
        nobody = ~found
        decided = (first.argmax(dim=-1) == decision).float()
        code = (embedded[found] - questions.colours[found] @ self.codes).square().mean()
        return {
            "words": F.cross_entropy(logits, labels[wanted]),
            "decision": F.cross_entropy(first.flatten(0, 1), decision.flatten()),
            "code": 8 * bce + 0.5 * code,
            "foreseen": 8 * foreseen,
            "right set": exact[motion].mean(),
            "N-acc": decided[nobody].mean(),
            "T-acc": decided[found].mean(),
        }, embedded

    def sentence_loss(self, read: Read, questions: Questions) -> tuple[Tensor, Tensor]:
        """The head that judges shapes tells what sentences mean; the loss, and how often right."""
        starts = read.length + torch.arange(questions.ids.shape[1]) * questions.ids.shape[2]
        rows = torch.arange(len(questions.ids))[:, None]
        losses, right = [], []
        known = questions.meanings != NO_MEANING
        for where in (questions.segs, questions.asks):
            said = self.means(read.states[MEANING_LAYER][rows, starts + where][known])
            losses.append(F.cross_entropy(said, questions.meanings[known]))
            right.append((said.argmax(dim=1) == questions.meanings[known]).float().mean())
        return torch.stack(losses).mean(), torch.stack(right).mean()

    # --- steps -----------------------------------------------------------------------------------
    def see(self, rng: random.Random, _: float) -> Losses:
        """Single pictures: what is where."""
        batch = draw_batch(self.painter, rng, 24, 4)
        loss = self.showing_loss(self.look(batch.frames), find_shapes(batch))
        return {"loss": loss}

    def follow(self, rng: random.Random, _: float) -> Losses:
        """Clips without questions: what moved how."""
        batch = draw_batch(self.painter, rng, 32, self.pictures)
        seen = find_shapes(batch)
        read = self.read(batch.frames, None, MEANING_LAYER)
        losses = self.motion_losses(read, batch, seen)
        shows = self.showing_loss(read.tokens, seen)
        loss = 0.5 * shows + 4 * losses["moved"] + losses["meaning"] + 0.5 * losses["colour"]
        return {"loss": loss, "shows": shows, **losses}

    def refer(self, rng: random.Random, share: float) -> Losses:
        """Clips with questions."""
        count = draw_count(rng, self.pictures) if share > 0.5 else self.pictures
        return self.question_losses(draw_batch(self.painter, rng, 16, count), rng)[0]

    def reword(self, rng: random.Random, _: float) -> Losses:
        """Clips with questions, some of which lack words."""
        batch = draw_batch(self.painter, rng, 16, draw_count(rng, self.pictures))
        return self.question_losses(batch, rng, with_gaps=True)[0]

    def question_losses(
        self, batch: Batch, rng: random.Random, *, with_gaps: bool = False
    ) -> tuple[dict[str, Tensor], Tensor, Questions]:
        """All losses of this half on a batch, the embeddings of [SEG], and what was asked."""
        questions = self.asker.ask(batch.scenes, rng, QUESTIONS, with_gaps=with_gaps)
        seen = find_shapes(batch)
        read = self.read(batch.frames, questions, len(self.language.model.layers))
        losses, embedded = self.answer_losses(read, questions)
        guides = self.motion_losses(read, batch, seen)
        meaning, named = self.sentence_loss(read, questions)
        sentences = Sentences(read.length, read.positions, questions, seen)
        words, shapes = attention_losses(self.language.model, read.states, sentences)
        total = losses["words"] + losses["decision"] + losses["code"] + meaning
        total = total + losses["foreseen"]
        total = total + 0.5 * words + shapes + guides["meaning"] + 2 * guides["moved"]
        total = total + 0.5 * guides["colour"] + 0.5 * self.showing_loss(read.tokens, seen)
        told = {
            "loss": total, **losses, "reads": words, "looks": shapes, "sentence": meaning,
            "named": named, "facts right": guides["facts right"],
        }  # fmt: skip
        return told, embedded, questions

    def groups(self) -> list[dict[str, Any]]:
        """All parameters at one rate."""
        return [{"params": list(self.parameters())}]


def draw_count(rng: random.Random, pictures: int) -> int:
    """Draw how many pictures a clip is shown in: mostly `pictures`, now and then more."""
    return pictures + rng.choice((0, 0, 0, 1, 3))


def _head(size: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(size), nn.Linear(size, outputs))


def stages(half: LanguageHalf, scale: float) -> list[Stage]:
    """The stages of this half; `scale` stretches or shortens all of them."""
    plan = [
        Stage("see", 300, half.see, 1.5e-3, half.groups),
        Stage("follow", 900, half.follow, 1.5e-3, half.groups, warm_up=60),
        Stage("refer", 2000, half.refer, 1.5e-3, half.groups, warm_up=60, decay_from=0.45),
        Stage("reword", 700, half.reword, 7e-4, half.groups, decay_from=0.2),
    ]
    return [stretched(stage, scale) for stage in plan]
