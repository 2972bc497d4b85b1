"""A recipe by name or path, with keys changed on the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from submission.did_you_mean import did_you_mean, nearest_or_all
from submission.errors import InputError
from submission.files.toml_text import parse_toml, read_toml
from submission.files.user_paths import expand
from submission.recipes.parse import parse_recipe
from submission.recipes.recipe import Recipe

PACKAGED = Path(__file__).parent
SAMPLE = "sample"  # the packaged recipe of a call without arguments


def read_recipe(name_or_path: str, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, or a packaged recipe by name.

    `changes` are keys with other values, such as "vote.rule=paper" or "expert.NAME.frames=8".
    Raises InputError when there is none or it is no TOML, FaultyInput with all its faults.
    """
    path = expand(name_or_path)
    if name_or_path in packaged_recipes():
        path = PACKAGED / f"{name_or_path}.toml"
    try:
        values = read_toml(path)
    except FileNotFoundError:
        raise InputError(f"{name_or_path}: no such recipe; {_meant(path)}") from None
    for change in changes:
        _change(values, change)
    return parse_recipe(values, path)


def _meant(path: Path) -> str:
    """Say where a recipe was looked for, and what lies near it."""
    if path.suffix == ".toml":
        files = (file.name for file in path.parent.glob("*.toml"))
        near = did_you_mean(path.name, [*files, *packaged_recipes()])
        return f"looked for {path.absolute()}{near}"
    if (file := Path(f"{path}.toml")).is_file():
        return f'did you mean "{file}"?'
    known = nearest_or_all(str(path), packaged_recipes(), "mevis-submission recipes")
    return f"give a .toml file, or one of the packaged{known}"


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
    folder = expand(name_or_path)
    if name_or_path in packaged or not folder.is_dir():
        return [name_or_path]
    return [str(file) for file in sorted(folder.glob("*.toml"))] or [name_or_path]


def _change(values: dict[str, Any], change: str) -> None:
    """Set one key in the tables of a recipe; a value that is no TOML is a text."""
    path, equals, text = change.partition("=")
    *tables, key = path.strip().split(".")
    try:
        value = parse_toml(f"value = {text}".encode(errors="surrogateescape"), change)["value"]
    except InputError:
        value = text
    place: Any = values
    experts = values.get("expert", [])
    known = {one.get("name"): one for one in experts if isinstance(one, dict)}
    if ".".join(tables) in known:
        raise InputError(f"--set {change}: did you mean expert.{path.strip()}?")
    if tables[:1] == ["expert"] and len(tables) > 1:
        name = ".".join(tables[1:])
        if name not in known:
            there = ", ".join(map(str, known))
            nearest = did_you_mean(name, filter(None, known))
            raise InputError(f"--set {change}: no expert {name}{nearest}; there are: {there}")
        place, tables = known[name], []
    for table in tables:
        place = place.setdefault(table, {}) if isinstance(place, dict) else None
    of_whom = not tables and place is values and key != "name" and not isinstance(value, dict)
    if not (equals and key and isinstance(place, dict)) or of_whom:
        raise InputError(
            f"--set {change}: it must be KEY=VALUE, such as vote.rule=paper or expert.NAME.frames=8"
        )
    place[key] = value
