"""The schema that editors read: that of the records, and true of the packaged recipes."""

import tomllib

import pytest

from scripts.recipe_schema import PATH, recipe_schema, schema_text
from submission.recipes.find import PACKAGED, packaged_recipes

SCHEMA = recipe_schema()


def unknown_or_missing(table: dict, schema: dict) -> list[str]:
    """Keys that the schema of a table does not know, those it needs, and values it does not."""
    known = schema["properties"]
    found = [key for key in table if key not in known and not schema["additionalProperties"]]
    found += [key for key in schema["required"] if key not in table]
    for key, value in table.items():
        allowed = known.get(key, {})
        if "const" in allowed and value != allowed["const"]:
            found.append(key)
        if "enum" in allowed and value not in allowed["enum"]:
            found.append(key)
        if value in allowed.get("not", {}).get("enum", []):
            found.append(key)
    return found


def fitting_experts(expert: dict) -> list[str]:
    kinds = SCHEMA["properties"]["expert"]["items"]["anyOf"]
    return [kind["title"] for kind in kinds if not unknown_or_missing(expert, kind)]


def test_the_packaged_file_is_that_of_the_records():
    assert PATH.read_text(encoding="utf-8") == schema_text(), "run: python -m scripts.recipe_schema"


@pytest.mark.parametrize("name", packaged_recipes())
def test_a_packaged_recipe_fits(name):
    recipe = tomllib.loads((PACKAGED / f"{name}.toml").read_text(encoding="utf-8"))
    assert unknown_or_missing(recipe, SCHEMA) == []
    for table in recipe.keys() - {"name", "team", "expert"}:
        assert unknown_or_missing(recipe[table], SCHEMA["properties"][table]) == []
    assert [len(fitting_experts(expert)) for expert in recipe["expert"]] == [1] * len(
        recipe["expert"]
    )


@pytest.mark.parametrize(
    ("expert", "fits"),
    [
        ({"name": "a", "checkpoint": "b"}, ["sa2va"]),
        ({"name": "a", "masks": "b"}, ["masks"]),
        ({"name": "a", "kind": "edges", "steepness": 3}, ["a kind of another package"]),
        ({"name": "a", "checkpoint": "b", "frame": 3}, []),
        ({"name": "a", "checkpoint": "b", "sampling": "last"}, []),
        ({"checkpoint": "b"}, []),
        ({"name": "a", "kind": "example", "threshold": 3}, ["example"]),
    ],
)
def test_an_expert_fits_the_kind_that_reads_it(expert, fits):
    assert fitting_experts(expert) == fits
