"""A recipe as JSON, in the record of a run and on the way to a worker, and back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from submission.compute import Compute
from submission.errors import Fault, FaultyInput
from submission.files.read_record import read_fields, read_record
from submission.gate.calibration_file import gate_of
from submission.gate.judge import Settings as Judge
from submission.recipes.parse import read_experts
from submission.recipes.recipe import Published, Recipe


def as_json(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as JSON values, for the run record; the team stays out of it."""
    values = asdict(replace(recipe, team=None, experts=()))
    values["experts"] = [
        {"name": one.name, "kind": one.kind, "weight": one.weight, **asdict(one.settings)}
        for one in recipe.experts
    ]
    return dict(json.loads(json.dumps(values, default=str)))


def _object(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    if not isinstance(values[key], dict):
        raise TypeError(f"{key} is no object")
    return dict(values[key])


def from_json(values: Mapping[str, Any]) -> Recipe:
    """Return the recipe that `as_json` wrote, or an earlier version of it without kinds.

    Raises KeyError, TypeError or InputError for anything else.
    """
    faults: list[Fault] = []
    experts = tuple(read_experts(values["experts"], faults))
    if not experts:
        faults.append(Fault("experts", "there is none"))
    plain = {key: values[key] for key in ("name", "split", "meta", "rule", "missing", "png")}
    read_fields(Recipe, plain, plain, "", faults)
    compute = read_record(Compute, _object(values, "compute"), "compute.", faults)
    published = values["published"] and read_record(
        Published, _object(values, "published"), "published.", faults
    )
    if values["team"] is not None:
        _object(values, "team")
    if faults:
        raise FaultyInput("the recipe of the record has faults:", faults)
    return Recipe(
        **{
            **values,
            "folder": Path(values["folder"]),
            "experts": experts,
            "root": Path(values["root"]) if values["root"] else None,
            "compute": compute,
            "published": published or None,
            "gate": gate_of(values["gate"]) if values.get("gate") else None,
            "judge": Judge(**values["judge"]) if values.get("judge") else None,
        }
    )
