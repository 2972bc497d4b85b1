"""The tables of a recipe become a Recipe, or a list of everything that is wrong in them.

All that can be wrong is found here, at once and in sentences, before data or a checkpoint is
touched. Paths in a recipe are relative to the recipe's own folder. What an [[expert]] may hold is
its kind's own business (experts/registry.py).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from submission.compute import Compute
from submission.dataset.names import name_fault
from submission.errors import Fault, FaultyInput, InputError
from submission.experts.expert import ExpertEntry
from submission.experts.registry import find_kind, implied_kind
from submission.files.read_record import read_fields, read_record
from submission.files.user_paths import expand
from submission.gate.table import read_gate
from submission.masks.voting import MOST_MEMBERS
from submission.output.team import team_faults
from submission.recipes.recipe import Published, Recipe

# Fields of a recipe that stand in tables of their own.
TABLES = {"data": ("root", "split", "meta"), "vote": ("rule", "missing"), "output": ("png",)}


@dataclass(frozen=True)
class Head:
    """What every [[expert]] has, whatever its kind."""

    name: str
    kind: str = ""
    weight: Annotated[float, Field(gt=0)] = ExpertEntry.weight


@dataclass(frozen=True)
class PublishedTable:
    """What [published] may hold; scores in percent."""

    source: str = ""
    split: str = ""
    j_and_f: float | None = None
    j: float | None = None
    f: float | None = None


def parse_recipe(values: Mapping[str, Any], path: Path) -> Recipe:
    """Turn a recipe's TOML tables into a Recipe; raise FaultyInput with everything wrong in it."""
    faults: list[Fault] = []
    folder = path.parent.resolve()
    below = {"data", "vote", "output", "team", "compute", "published", "gate", "expert"}
    given = read_fields(Recipe, ("name",), {"name": path.stem, **values}, "", faults, below)
    tables = {key: _table(values, key, faults) for key in sorted(below - {"expert"})}
    root = tables["data"].get("root")
    if isinstance(root, str):
        try:
            tables["data"] = {**tables["data"], "root": folder / expand(root)}
        except InputError as error:
            faults.append(Fault("[data] root", str(error)))
            del tables["data"]["root"]
    for key, names in TABLES.items():
        given |= read_fields(Recipe, names, tables[key], f"[{key}] ", faults)
    asked = values.get("expert", [])
    recipe = Recipe(
        **{"name": path.stem, **given},
        folder=folder,
        experts=tuple(read_experts(asked, faults)),
        team=tables["team"] or None,
        compute=read_record(Compute, tables["compute"], "[compute] ", faults) or Compute(),
        published=_published(tables["published"], faults) if "published" in values else None,
    )
    if "gate" in values:
        gate, judge = read_gate(tables["gate"], folder, faults)
        recipe = replace(recipe, gate=gate, judge=judge)
    taken = {one.name for one in recipe.experts} & {one.name for one in recipe.judges}
    words = "is what the answers of [gate] judge are called; give the expert another"
    faults += (Fault("[[expert]] name", f'"{name}" {words}') for name in sorted(taken))
    if asked == []:
        faults.append(Fault("[[expert]]", "there is none; a run needs at least one expert"))
    elif isinstance(asked, list) and len(asked) > MOST_MEMBERS:
        words = f"{len(asked)} experts; a vote has at most {MOST_MEMBERS}"
        faults.append(Fault("[[expert]]", words))
    if reason := name_fault(recipe.name):
        faults.append(Fault("name", reason))
    if recipe.team is not None:
        faults += (Fault("[team]", what) for what in team_faults(recipe.team))
    if faults:
        raise FaultyInput(f"{path}: the recipe has faults:", faults)
    return recipe


def _table(values: Mapping[str, Any], key: str, faults: list[Fault]) -> dict[str, Any]:
    table = values.get(key, {})
    if not isinstance(table, dict):
        faults.append(Fault(key, f"it must be a table: [{key}]"))
        return {}
    return table


def read_experts(tables: Any, faults: list[Fault]) -> Iterator[ExpertEntry]:
    """The experts that are right; what is wrong with the others is in `faults`."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        faults.append(Fault("expert", "it must be a list of tables, each begun by [[expert]]"))
        return
    taken: set[str] = set()
    for number, table in enumerate(tables, 1):
        if (entry := _expert(table, f"expert {number}", taken, faults)) is not None:
            yield entry


def _expert(
    table: Mapping[str, Any], where: str, taken: set[str], faults: list[Fault]
) -> ExpertEntry | None:
    """Read one expert whose name is none of those that are taken, and take it."""
    heads = [field.name for field in fields(Head)]
    of_kind = {key: value for key, value in table.items() if key not in heads}
    head = read_record(Head, table, f"{where}, ", faults, of_kind)
    if isinstance(name := table.get("name"), str):
        faults += (Fault(f"{where}, name", what) for what in _name_faults(name, taken))
        taken.add(name)
    try:
        kind = head.kind if head and head.kind else implied_kind(table)
        module = find_kind(kind)
    except InputError as error:
        faults.append(Fault(where, str(error)))
        return None
    settings = read_record(module.Settings, of_kind, f"{where}, ", faults, heads)
    if head is None or settings is None:
        return None
    return ExpertEntry(head.name, kind, settings, head.weight)


def _name_faults(name: str, taken: set[str]) -> Iterator[str]:
    if reason := name_fault(name):
        yield reason
    if name == "vote":
        yield '"vote" is what the result of the vote is called'
    if name in taken:
        yield f'"{name}" is taken; every expert needs its own'


def _published(table: Mapping[str, Any], faults: list[Fault]) -> Published | None:
    read = read_record(PublishedTable, table, "[published] ", faults)
    if read is None:
        return None
    means = {"J&F": read.j_and_f, "J": read.j, "F": read.f}
    return Published(
        read.source, read.split, {name: mean for name, mean in means.items() if mean is not None}
    )
