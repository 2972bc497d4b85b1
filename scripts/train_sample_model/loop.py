"""The loop of every stage: take a step, lower the loss, say how it goes, save, resume.

A step draws its numbers from (seed, stage, step) alone, so a resumed run goes on as if it had never
stopped, and two runs of the same steps on the same machine give the same weights.
"""

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from submission.files.whole import open_whole

SAVE_EVERY, TELL_EVERY = 100, 25  # steps
LONGEST_GRADIENT = 1.0
FLOOR = 0.03  # of the learning rate, at the end of its decay

Losses = Mapping[str, Tensor]  # what a step reports; "loss" is what it lowers
TakeStep = Callable[[random.Random, float], Losses]  # (numbers, share of the stage done)


@dataclass(frozen=True)
class Stage:
    """One stretch of training with one aim."""

    name: str
    steps: int
    take_step: TakeStep
    rate: float  # learning rate
    groups: Callable[[], list[dict[str, Any]]]  # parameters; "scale" multiplies the rate
    decay_from: float = 1.0  # share of the stage after which the rate falls
    warm_up: int = 50  # steps
    begin: Callable[[], None] = lambda: None  # before its first step, not when it is resumed

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        rise = min(1.0, (step + 1) / self.warm_up)
        left = (1 - step / self.steps) / max(1 - self.decay_from, 1e-9)
        return self.rate * rise * min(1.0, max(FLOOR, left))


def stretched(stage: Stage, scale: float) -> Stage:
    """The same stage with more or fewer steps."""
    return replace(stage, steps=max(1, round(stage.steps * scale)))


@dataclass(frozen=True)
class Course:
    """Stages after one another over the same modules, kept in one folder under one name."""

    name: str
    folder: Path
    seed: int
    modules: nn.Module
    weight_decay: float = 0.01

    @property
    def file(self) -> Path:
        """Where its state is saved."""
        return self.folder / f"{self.name}.pt"

    def run(self, stages: Iterable[Stage]) -> None:
        """Run what is not done yet; raise ArithmeticError where a gradient is not finite."""
        done = self._resume()
        for stage in stages:
            if stage.name in done["finished"]:
                continue
            self._run_stage(stage, done)
            done["finished"].append(stage.name)
            done["optimizer"], done["step"] = None, 0
            self._save(done)

    def _run_stage(self, stage: Stage, done: dict[str, Any]) -> None:
        if not done["step"]:
            stage.begin()
        optimizer = torch.optim.AdamW(
            stage.groups(), lr=stage.rate, betas=(0.9, 0.98), weight_decay=self.weight_decay
        )
        if done["optimizer"] is not None:
            optimizer.load_state_dict(done["optimizer"])
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        recent = Recent(self, stage, done)
        for step in range(done["step"], stage.steps):
            for group in optimizer.param_groups:
                group["lr"] = stage.rate_at(step) * group.get("scale", 1.0)
            rng = random.Random(f"{self.seed}/{stage.name}/{step}")
            torch.manual_seed(rng.randrange(2**31))
            losses = stage.take_step(rng, step / stage.steps)
            optimizer.zero_grad()
            losses["loss"].backward()
            norm = nn.utils.clip_grad_norm_(parameters, LONGEST_GRADIENT)
            if not math.isfinite(float(norm)):
                raise ArithmeticError(f"{stage.name}, step {step}: the gradient is not finite")
            optimizer.step()
            recent.add(step, losses)
            if (step + 1) % SAVE_EVERY == 0 and step + 1 < stage.steps:
                done["optimizer"], done["step"] = optimizer.state_dict(), step + 1
                self._save(done)

    def _save(self, done: dict[str, Any]) -> None:
        state = {"modules": self.modules.state_dict(), "done": done}
        with open_whole(self.file) as file:
            torch.save(state, file)

    def load(self) -> dict[str, Any]:
        """Take the saved weights; return what else was saved. Raises FileNotFoundError."""
        state = torch.load(self.file, weights_only=True)
        self.modules.load_state_dict(state["modules"])
        done: dict[str, Any] = state["done"]
        return done

    def _resume(self) -> dict[str, Any]:
        if not self.file.is_file():
            return {"finished": [], "step": 0, "optimizer": None, "seconds": 0.0, "curve": []}
        done = self.load()
        print(f"{self.name}: going on after {done['finished']}, step {done['step']}", flush=True)
        return done


class Recent:
    """Means over the last steps: told to the reader, and kept as the curve."""

    def __init__(self, course: Course, stage: Stage, done: dict[str, Any]) -> None:
        self.course, self.stage, self.done = course, stage, done
        self.rows: list[dict[str, float]] = []
        self.since = time.monotonic()

    def add(self, step: int, losses: Losses) -> None:
        self.rows.append({name: float(value.detach()) for name, value in losses.items()})
        if len(self.rows) < TELL_EVERY and step + 1 < self.stage.steps:
            return
        means = {name: mean(row[name] for row in self.rows) for name in self.rows[0]}
        now = time.monotonic()
        self.done["seconds"] += now - self.since
        point = {"stage": self.stage.name, "step": step + 1, "seconds": self.done["seconds"]}
        self.done["curve"].append(point | means)
        numbers = " ".join(f"{name} {value:.3f}" for name, value in means.items())
        left = (now - self.since) / len(self.rows) * (self.stage.steps - step - 1) / 60
        print(
            f"{self.done['seconds'] / 60:6.1f} min  {self.stage.name} {step + 1}/"
            f"{self.stage.steps}  {numbers}  ({left:.0f} min left)", flush=True,
        )  # fmt: skip
        self.rows, self.since = [], now


def mean(values: Iterator[float]) -> float:
    """The mean of the values that are numbers; nan where none is."""
    numbers = [value for value in values if not math.isnan(value)]
    return sum(numbers) / len(numbers) if numbers else math.nan


def curve_of(file: Path) -> list[dict[str, Any]]:
    """The curve that a course has saved so far."""
    curve: list[dict[str, Any]] = torch.load(file, weights_only=True)["done"]["curve"]
    return [{k: round(v, 3) if isinstance(v, float) else v for k, v in p.items()} for p in curve]
