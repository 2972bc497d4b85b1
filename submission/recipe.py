"""What to run: data, experts, vote and output, as frozen records read from TOML.

Everything that can be wrong in a recipe is found here, at once and in sentences, before data or a
checkpoint is touched. Paths in a recipe are relative to the recipe's own folder. What an [[expert]]
may hold is its kind's own business (experts/registry.py).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from submission.compute import Compute
from submission.dataset.names import name_fault
from submission.dataset.records import DataNames
from submission.did_you_mean import did_you_mean
from submission.errors import Fault, FaultyInput, InputError
from submission.experts.expert import ExpertEntry
from submission.experts.registry import JUDGE, find_kind, implied_kind
from submission.files.read_record import read_fields, read_record
from submission.files.toml_text import parse_toml, read_toml
from submission.files.user_paths import expand
from submission.gate.calibration_file import gate_of
from submission.gate.decision import Gate
from submission.gate.judge import AUDIT, EXISTENCE
from submission.gate.judge import Settings as Judge
from submission.gate.table import read_gate
from submission.masks.ballot import Voting
from submission.masks.voting import MOST_MEMBERS, Rule
from submission.output.team import team_faults

PACKAGED = Path(__file__).parent / "recipes"
SAMPLE = "sample"  # the packaged recipe of a call without arguments


@dataclass(frozen=True)
class Published:
    """What somebody else reports for this run, to be printed beside ours; in percent."""

    source: str
    split: str
    means: Mapping[str, float]  # "J&F", "J", "F", as far as they are reported


@dataclass(frozen=True)
class Recipe:
    """A whole run."""

    name: str
    folder: Path  # paths in the recipe are relative to this
    experts: tuple[ExpertEntry, ...]
    root: Path | None = None
    split: str | None = None
    meta: str | None = None  # the meta file, where a split has several
    rule: Rule = "majority"
    missing: Literal["error", "skip"] = "error"  # when an expert has no prediction for a sentence
    png: Literal["1bit", "8bit"] = "1bit"
    team: Mapping[str, Any] | None = None  # becomes team.json in the zip
    compute: Compute = field(default_factory=Compute)
    published: Published | None = None
    gate: Gate | None = None  # empties sentences that refer to nothing
    judge: Judge | None = None  # is asked, for the gate, whether there is what they refer to

    @property
    def judges(self) -> tuple[ExpertEntry, ...]:
        """The judge's rounds of questions; they answer as experts do, and have no vote.

        Each has answers of its own, so that switching the audit on asks no more than that.
        """
        if self.judge is None:
            return ()
        judge = replace(self.judge, expected=self.gate.judge if self.gate else None)
        first = ExpertEntry(EXISTENCE, JUDGE, replace(judge, audit=False))
        return (first, ExpertEntry(AUDIT, JUDGE, judge)) if judge.audit else (first,)

    @property
    def entries(self) -> tuple[ExpertEntry, ...]:
        """Everybody who answers: the experts, and the judge."""
        return (*self.experts, *self.judges)

    @property
    def voting(self) -> Voting:
        """Who votes on each sentence, and how."""
        return Voting(
            members=tuple(expert.name for expert in self.experts),
            weights=tuple(expert.weight for expert in self.experts),
            rule=self.rule,
            skip_missing=self.missing == "skip",
        )

    @property
    def data(self) -> DataNames:
        """Where its split lies."""
        return DataNames(self.root, self.split, self.meta)

    def with_data(self, root: Path | None, split: str | None, meta: str | None) -> "Recipe":
        """Return the recipe with the data that the command line names."""
        return replace(self, **vars(DataNames(root, split, meta).or_else(self.data)))


# Fields of a recipe that stand in tables of their own.
TABLES = {"data": ("root", "split", "meta"), "vote": ("rule", "missing"), "output": ("png",)}


@dataclass(frozen=True)
class _Head:
    """What every [[expert]] has, whatever its kind."""

    name: str
    kind: str = ""
    weight: Annotated[float, Field(gt=0)] = ExpertEntry.weight


@dataclass(frozen=True)
class _PublishedTable:
    source: str = ""
    split: str = ""
    j_and_f: float | None = None
    j: float | None = None
    f: float | None = None


def read_recipe(name_or_path: str, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, or a packaged recipe by name.

    `changes` are keys with other values, such as "vote.rule=paper" or "expert.NAME.frames=8".
    Raises InputError when there is none or it is no TOML, FaultyInput with all its faults.
    """
    path = Path(name_or_path)
    if name_or_path in packaged_recipes():
        path = PACKAGED / f"{name_or_path}.toml"
    try:
        values = read_toml(path)
    except FileNotFoundError:
        known = packaged_recipes()
        raise InputError(
            f"{name_or_path}: no such recipe{did_you_mean(name_or_path, known)}; give a .toml "
            f"file, or one of the packaged: {', '.join(known)}"
        ) from None
    for change in changes:
        _change(values, change)
    return parse_recipe(values, path)


def _change(values: dict[str, Any], change: str) -> None:
    """Set one key in the tables of a recipe; a value that is no TOML is a text."""
    path, equals, text = change.partition("=")
    *tables, key = path.strip().split(".")
    try:
        value = parse_toml(f"value = {text}".encode(), change)["value"]
    except InputError:
        value = text
    place: Any = values
    if tables[:1] == ["expert"] and len(tables) > 1:
        experts = values.get("expert", [])
        known = {one.get("name"): one for one in experts if isinstance(one, dict)}
        name = ".".join(tables[1:])
        if name not in known:
            there = ", ".join(map(str, known))
            nearest = did_you_mean(name, filter(None, known))
            raise InputError(f"--set {change}: no expert {name}{nearest}; there are: {there}")
        place, tables = known[name], []
    for table in tables:
        place = place.setdefault(table, {}) if isinstance(place, dict) else None
    if not (equals and key and isinstance(place, dict)) or path.strip() == "expert":
        raise InputError(
            f"--set {change}: it must be KEY=VALUE, such as vote.rule=paper or expert.NAME.frames=8"
        )
    place[key] = value


def packaged_recipes() -> list[str]:
    """Return the names of the recipes that come along; `series/name` for those of a series."""
    files = sorted(PACKAGED.rglob("*.toml"))
    return [file.relative_to(PACKAGED).with_suffix("").as_posix() for file in files]


def recipe_series(name_or_path: str) -> list[str]:
    """Return the recipes that a name stands for: itself, or all in a folder of recipes.

    The name of a packaged recipe or series means that one, whatever lies in the working folder.
    """
    packaged = packaged_recipes()
    if series := [name for name in packaged if name.startswith(f"{name_or_path}/")]:
        return series
    folder = Path(name_or_path)
    if name_or_path in packaged or not folder.is_dir():
        return [name_or_path]
    return [str(file) for file in sorted(folder.glob("*.toml"))] or [name_or_path]


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
        experts=tuple(_experts(asked, faults)),
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


def _experts(tables: Any, faults: list[Fault]) -> Iterator[ExpertEntry]:
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
    heads = [field.name for field in fields(_Head)]
    of_kind = {key: value for key, value in table.items() if key not in heads}
    head = read_record(_Head, table, f"{where}, ", faults, of_kind)
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
    read = read_record(_PublishedTable, table, "[published] ", faults)
    if read is None:
        return None
    means = {"J&F": read.j_and_f, "J": read.j, "F": read.f}
    return Published(
        read.source, read.split, {name: mean for name, mean in means.items() if mean is not None}
    )


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
    experts = tuple(_experts(values["experts"], faults))
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
