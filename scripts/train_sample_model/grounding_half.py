"""The grounding half: SAM 2's organs learn to segment by colour code, and to track.

The language half does not exist yet. Its place is taken by the codebook: a sentence's embedding is
the sum of its targets' colour codes with some noise. Tensors of B clips go through together: one
clip is to the network what one object is when it runs.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.sample_data.style import TRAINING
from scripts.sample_data.write_split import FRAMES, draw_any_scene
from scripts.train_sample_model.batches import (
    Batch,
    colours_of,
    draw_key_frames,
    paint,
    targets_mask,
)
from scripts.train_sample_model.loop import Losses, Stage, stretched
from scripts.train_sample_model.mask_loss import mask_loss
from scripts.train_sample_model.pictures import Painter
from scripts.train_sample_model.sizes import codebook
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sam2.network import DecodedMasks, GroundingNetwork, ImageFeatures, normalise
from submission.models.sam2.tracker import Tracker

NOISE = 0.1  # of a colour code's weight
ONE_TARGET = 0.7  # share of prompts that mean one shape
MAP_WEIGHT = 10.0  # of the guide on the memory-conditioned map
PROMPTED_WEIGHT = 0.5  # while tracking is what is learned


def encode(network: GroundingNetwork, frames: Tensor) -> list[ImageFeatures]:
    """Features of each picture for all clips at once: frames uint8 (B, M, S, S, 3)."""
    clips, count = frames.shape[:2]
    pixels = normalise(frames.transpose(0, 1).flatten(0, 1))  # (M*B, 3, S, S)
    levels = network.image_encoder(pixels)["backbone_fpn"]
    parts = [level.view(count, clips, *level.shape[1:]) for level in levels]
    return [ImageFeatures(*(part[m] for part in parts)) for m in range(count)]


@dataclass(frozen=True)
class Shown:
    """A batch whose clips share length and times: prompted pictures first, tracked ones after."""

    batch: Batch
    num_prompted: int

    @property
    def times(self) -> list[int]:
        """The frames of every clip."""
        return self.batch.times[0]


def draw_shown(
    painter: Painter, rng: random.Random, size: int, prompted: int, tracked: int
) -> Shown:
    """Draw clips of one length, prompted where key frames would be, and a run of tracked frames."""
    num_frames = rng.randint(max(FRAMES[0], prompted + tracked), FRAMES[1])
    scenes = [draw_any_scene(rng, num_frames, TRAINING) for _ in range(size)]
    keys = draw_key_frames(rng, num_frames, prompted, random_share=0.4)
    others = [time for time in range(num_frames) if time not in keys]
    first = rng.randint(0, len(others) - tracked)
    times = keys + others[first : first + tracked]
    batch = paint(painter, rng, scenes, [times] * size)
    return Shown(batch, prompted)


class GroundingHalf(nn.Module):
    """The network and the guide that is thrown away."""

    def __init__(self, network: GroundingNetwork, painter: Painter) -> None:
        super().__init__()
        self.network = network
        self.where = nn.Conv2d(network.config.hidden_size, 4, 1)  # 2 x 2 cells of each map's cell
        self.painter = painter
        self.codes = codebook()

    def run(self, shown: Shown, prompts: Tensor, truth: Tensor, procedure: str) -> "Run":
        """Prompt and track one embedding (B, C) in each clip; truth is float (B, M, S, S)."""
        features = encode(self.network, shown.batch.frames)
        policy = PROCEDURES[procedure].policy
        tracker = Tracker(self.network, policy, frame_size=(128, 192))
        prompted: list[DecodedMasks] = []
        tracked: list[DecodedMasks] = []
        maps: list[Tensor] = []
        for m, time in enumerate(shown.times):
            if m < shown.num_prompted:
                found = self.network.decode_language(features[m], prompts)
                prompted.append(found)
                if policy.harden_prompts:  # SAM 2 is given true masks here, as it was trained
                    found = self.network.decode_given_mask(features[m], truth[:, m, None])
            else:
                conditioned = tracker.condition(time, features[m])
                maps.append(conditioned)
                found = self.network.decode_tracked(
                    features[m],
                    conditioned,
                    gate=policy.gate_tracked,
                    decoder=policy.tracking_decoder,
                )
                tracked.append(found)
            if len(shown.times) > shown.num_prompted:
                memory = self.network.encode_memory(features[m], found.logits)
                is_prompted = m < shown.num_prompted
                tracker.remember(time, memory, found.pointer, prompted=is_prompted)
        return Run(prompted, tracked, maps)

    def losses(self, shown: Shown, prompts: Tensor, truth: Tensor, procedure: str) -> Losses:
        """Everything that this half lowers, for embeddings that may carry a gradient."""
        run = self.run(shown, prompts, truth, procedure)
        count = shown.num_prompted
        first = mask_loss(run.prompted, truth[:, :count])
        if not run.tracked:
            return {"loss": first.total, "J prompted": first.iou}
        later = mask_loss(run.tracked, truth[:, count:])
        where = self._where_loss(run.maps, truth[:, count:])
        total = PROMPTED_WEIGHT * first.total + later.total + MAP_WEIGHT * where
        return {
            "loss": total, "J prompted": first.iou, "J tracked": later.iou, "map": where,
            "visible": later.visible,
        }  # fmt: skip

    def _where_loss(self, maps: Sequence[Tensor], truth: Tensor) -> Tensor:
        said = F.pixel_shuffle(self.where(torch.cat(list(maps))), 2)
        seen = F.avg_pool2d(torch.cat(list(truth.unbind(1)))[:, None], 8)
        return F.binary_cross_entropy_with_logits(said, seen)

    def prompts_for(self, batch: Batch, rng: random.Random) -> tuple[Tensor, Tensor]:
        """Draw targets in each clip: their noisy codes (B, C) and masks (B, M, S, S)."""
        targets = []
        for scene in batch.scenes:
            count = len(scene.shapes)
            size = 1 if rng.random() < ONE_TARGET else rng.randint(1, count)
            targets.append(rng.sample(range(count), size))
        wanted = torch.stack(
            [colours_of(scene, meant) for scene, meant in zip(batch.scenes, targets, strict=True)]
        )
        noisy = wanted + NOISE * torch.randn_like(wanted)
        return noisy @ self.codes, targets_mask(batch, targets)

    def step(
        self, rng: random.Random, size: int, prompted: int, tracked: int, procedure: str = "sa2va"
    ) -> Losses:
        """Draw clips and prompts, and return the losses."""
        shown = draw_shown(self.painter, rng, size, prompted, tracked)
        prompts, truth = self.prompts_for(shown.batch, rng)
        return self.losses(shown, prompts, truth, procedure)

    def begin_second_decoder(self) -> None:
        """Let the tracking decoder of Sa2VA-i start as a copy of the tuned one."""
        self.network.sam_mask_decoder.load_state_dict(self.network.tuned_decoder.state_dict())

    def groups(self, *, tracking: bool) -> list[dict[str, Any]]:
        """Parameters with the scale of their learning rate."""
        memory, rest = [], []
        for name, parameter in self.named_parameters():
            (memory if "mem" in name or name.startswith("where") else rest).append(parameter)
        scales = (2.0, 0.5) if tracking else (1.0, 1.0)
        return [{"params": memory, "scale": scales[0]}, {"params": rest, "scale": scales[1]}]


@dataclass(frozen=True)
class Run:
    """What the network said of each prompted and each tracked picture, for all clips."""

    prompted: list[DecodedMasks]
    tracked: list[DecodedMasks]
    maps: list[Tensor]  # memory-conditioned (B, C, S, S), one for each tracked picture


def stages(half: GroundingHalf, scale: float) -> list[Stage]:
    """The stages of this half; `scale` stretches or shortens all of them."""

    def both_ways(rng: random.Random, share: float) -> Losses:
        procedure = rng.choice(("sa2va", "sa2va-i"))
        return half.step(rng, 12, rng.randint(2, 5), 3, procedure)

    all_alike, tracking = (partial(half.groups, tracking=value) for value in (False, True))
    plan = [
        Stage("image", 1000, lambda rng, _: half.step(rng, 24, 2, 0), 1e-3, all_alike),
        Stage("first memory", 250, lambda rng, _: half.step(rng, 32, 1, 1), 1e-3, tracking),
        Stage("memory", 420, lambda rng, _: half.step(rng, 16, rng.randint(1, 3), 3), 1e-3,
              tracking),
        Stage("both procedures", 580, both_ways, 1e-3, tracking, decay_from=0.4,
              begin=half.begin_second_decoder),
    ]  # fmt: skip
    return [stretched(stage, scale) for stage in plan]
