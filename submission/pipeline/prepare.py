"""Settle a run, once: device, precision, limits, what is left to do, and who goes with whom.

No model is loaded: plan prints what comes out, predict works it off.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from submission.compute import Compute
from submission.dataset.records import Split, Video
from submission.device import Place, gpu_at_hand, memory_of, settle_device, settle_dtype
from submission.errors import InputError
from submission.experts.expert import Expert, Tools
from submission.experts.model_cache import ModelCache
from submission.experts.registry import build_experts
from submission.experts.scheduling import Schedule, schedule
from submission.masks.store import PredictionStore
from submission.pipeline.limits import fit_limits, warn_of_cpu
from submission.pipeline.opening import refuse_faults, verify_checkpoints
from submission.recipes.recipe import Recipe
from submission.terminal.progress import Reporter
from submission.weights.checkpoints import CheckpointFinder
from submission.weights.folders import Weights


@dataclass(frozen=True)
class Site:
    """Where models run: settled on the machine that has them, which may be another one."""

    device: str  # "cpu", "cuda" or "cuda:1"
    dtype: Literal["float32", "bfloat16"]
    gpu: Place | None = None  # None for a CPU
    free: float | None = None  # bytes for models; None: asked of the device when it matters

    def free_bytes(self) -> float:
        """Bytes of memory that are free for models."""
        return memory_of(self.device) if self.free is None else self.free


# Before it is known where models run: what is wrong with recipe and files is seen all the same.
NOT_KNOWN_YET = Site("cuda", "bfloat16", free=float("inf"))


def settle_site(compute: Compute) -> Site:
    """Settle device and precision of [compute] on this machine; nothing of its memory is taken."""
    device = settle_device(compute.device)
    return Site(device, settle_dtype(compute.dtype, device), gpu_at_hand(device))


@dataclass(frozen=True)
class Prepared:
    """All that is settled before the first model is loaded."""

    split: Split
    compute: Compute  # device and precision settled, limits that fit the GPU at hand
    gpu: Place | None  # the one at hand, None for a CPU
    experts: tuple[Expert, ...]  # in the order of the recipe
    todo: Mapping[str, tuple[Video, ...]]  # by expert: the videos that it has still to answer
    done: Mapping[str, int]  # by expert: expressions that are answered
    schedule: Schedule  # of the experts that have something to do
    models: ModelCache
    on_gpu: tuple[Compute, tuple[Expert, ...]]  # the same as a GPU has it, for estimates
    # by expert: the identity of stored answers that are to go first
    outdated: Mapping[str, Any] = field(default_factory=dict)

    @property
    def num_masks(self) -> int:
        """Masks of the videos that are still to be answered, over all experts."""
        return sum(video.num_masks for videos in self.todo.values() for video in videos)


def prepare(
    recipe: Recipe, split: Split, store: PredictionStore, weights: Weights, reporter: Reporter, *,
    hash_all: bool = False, to_run: bool = False, site: Site | None = None,
) -> Prepared:  # fmt: skip
    """Settle what a recipe means for a split, a store and a site: this machine, if none is given.

    Every expert opens its files, but no values of weights; `to_run` also wants all checkpoints
    there and as the lock says.
    Whatever is stored counts as answered; whether it belongs to this recipe is seen by `claim`.
    Raises FaultyInput with what all experts find wrong with their files, InputError for a device
    that is not there, and where the weights of one expert alone do not fit; says which limits were
    chosen, and warns of what may not fit.
    """
    site = site or settle_site(recipe.compute)
    compute = replace(recipe.compute, device=site.device, dtype=site.dtype)
    finder = CheckpointFinder(recipe.folder, weights, hash_all, reporter)
    may_lack = recipe.missing == "skip"
    tools = Tools(
        recipe.folder, compute, finder, store, reporter, recipe.entries, may_lack, split=split
    )
    experts = build_experts(tools)
    refuse_faults(experts, split, finder, to_run=to_run)
    if to_run:
        verify_checkpoints(experts, finder)
    outdated = {
        expert.name: stored
        for expert in experts
        if (stored := _stored(expert.name, store)) is not None and expert.outdated(stored)
    }
    todo, done = _left_to_do(experts, split, store, outdated)
    if site.gpu is not None:
        compute = fit_limits(experts, todo, compute, site.gpu, reporter)
        experts = build_experts(replace(tools, compute=compute))
        on_gpu = compute, tuple(experts)
    else:
        if site.device == "cpu" and recipe.compute.device == "auto":
            warn_of_cpu(experts, todo, compute, reporter)
        on_gpu = recipe.compute, tuple(build_experts(replace(tools, compute=recipe.compute)))
    busy = [expert for expert in experts if todo[expert.name]]
    plan = schedule(busy, site.free_bytes, share=compute.share_features == "auto")
    return Prepared(
        split, compute, site.gpu, tuple(experts), todo, done, plan, tools.models, on_gpu, outdated
    )


def _stored(expert: str, store: PredictionStore) -> Any:
    """The identity of stored answers; None as well where it is damaged, which `claim` tells."""
    try:
        return store.identity(expert)
    except InputError:
        return None


def _left_to_do(
    experts: Sequence[Expert], split: Split, store: PredictionStore, outdated: Container[str]
) -> tuple[dict[str, tuple[Video, ...]], dict[str, int]]:
    """The videos with an expression still to answer, and how many are; no answer is opened."""
    todo, done = {}, {}
    for expert in experts:
        name = expert.name
        missing = {
            video.name: {
                expression.id
                for expression in video.expressions
                if name in outdated or not store.path(name, video.name, expression.id).exists()
            }
            for video in split.videos
        }
        todo[name] = tuple(
            video
            for video in split.videos
            if missing[video.name] and not missing[video.name] <= expert.leaves_out(video)
        )
        done[name] = split.num_sentences - sum(map(len, missing.values()))
    return todo, done
