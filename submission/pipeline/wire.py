"""What goes between the driver of a run and its workers: orders, answers, and where a worker is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from submission.dataset.records import Expression, Split
from submission.device import Place
from submission.errors import Fault
from submission.masks.store import Prediction
from submission.pipeline.agreement import worker_code
from submission.pipeline.prepare import Site
from submission.recipes.recipe import Recipe
from submission.recipes.stored import as_json
from submission.weights.folders import Weights
from submission.weights.lock_file import default_lock

Answers = list[tuple[Expression, Prediction]]
ByExpert = Mapping[str, Mapping[str, Prediction]]  # expert -> expression -> what is stored


@dataclass(frozen=True)
class Order:
    """What a worker is asked: a video, who is to answer it, and what these read of others."""

    video: str
    experts: tuple[str, ...]
    together: Mapping[str, float]  # models that may stand side by side, with their bytes
    stored: ByExpert = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """What a worker gives back for a video, expert by expert."""

    expert: str
    answers: Answers
    faults: tuple[Fault, ...]
    notes: tuple[tuple[str, str], ...]  # what was said since the last one: (kind, text)
    ran_on: str
    seconds: float  # since the last one
    waited: float  # of these, for frames
    encoding: float  # seconds of encoding; all but the last expert's beside the model
    decoded: int  # frames since the last one


def words_for(
    recipe: Recipe, split: Split, weights: Weights, device: str, *, hash_all: bool
) -> dict[str, Any]:
    """Return all that a worker has to know, as JSON values; paths are absolute."""
    assert recipe.root is not None
    lean = replace(
        recipe, team=None, gate=None, published=None, root=recipe.root.absolute(),
        folder=recipe.folder.absolute(), compute=replace(recipe.compute, device=device),
    )  # fmt: skip
    return {
        "code": worker_code(),
        "recipe": as_json(lean),
        "videos": [video.name for video in split.videos],
        "lock": None if weights.lock.path == default_lock() else str(weights.lock.path.absolute()),
        "weights": str(weights.folder.absolute()),
        "hash_all": hash_all,
        "folder": str(Path.cwd()),
    }


def site_to_json(site: Site) -> dict[str, Any]:
    """A site as JSON values."""
    gpu = site.gpu and [site.gpu.name, site.gpu.free, site.gpu.total]
    return {"device": site.device, "dtype": site.dtype, "gpu": gpu, "free": site.free_bytes()}


def site_from_json(values: Mapping[str, Any]) -> Site:
    """The site that `site_to_json` wrote."""
    gpu = Place(*values["gpu"]) if values["gpu"] else None
    return Site(values["device"], values["dtype"], gpu, values["free"])
