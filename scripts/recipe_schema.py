"""Write the JSON schema of a recipe, for editors, from the records that read one.

python -m scripts.recipe_schema
"""

import json
from collections.abc import Collection
from dataclasses import MISSING, fields
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from submission.compute import Compute
from submission.experts.registry import BY_KEY, KINDS, find_kind
from submission.gate.table import Table
from submission.masks.voting import MOST_MEMBERS
from submission.recipes.find import PACKAGED
from submission.recipes.parse import TABLES, Head, PublishedTable
from submission.recipes.recipe import Recipe

PATH = PACKAGED / "recipe.schema.json"
Schema = dict[str, Any]


def recipe_schema() -> Schema:
    """Return the schema (draft 2020-12) of a whole recipe."""
    tables = {table: _of_fields(Recipe, names) for table, names in TABLES.items()}
    experts = [*(_expert(kind) for kind in KINDS), _foreign_expert()]
    properties = {
        "name": {"type": "string"},
        **tables,
        "compute": _of_record(Compute),
        "published": _of_record(PublishedTable),
        "gate": _of_record(Table),
        "team": {"type": "object"},
        "expert": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_MEMBERS,
            "items": {"anyOf": experts},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Recipe of the MeViS submission kit",
        "type": "object",
        "properties": properties,
        "required": ["expert"],
        "additionalProperties": False,
    }


def schema_text() -> str:
    """Return the content of the packaged file."""
    return json.dumps(recipe_schema(), indent=1, sort_keys=True) + "\n"


def _expert(kind: str) -> Schema:
    """An [[expert]] of a kind; one that a key implies need not name it."""
    head, own = _of_record(Head), _of_record(find_kind(kind).Settings)
    needs_kind = [] if kind in BY_KEY.values() else ["kind"]
    return own | {
        "title": kind,
        "properties": head["properties"] | own["properties"] | {"kind": {"const": kind}},
        "required": [*head["required"], *own["required"], *needs_kind],
    }


def _foreign_expert() -> Schema:
    """An [[expert]] whose kind comes with a package of somebody else."""
    head = _of_record(Head)
    head["properties"]["kind"] = {"type": "string", "not": {"enum": list(KINDS)}}
    return head | {
        "title": "a kind of another package",
        "required": [*head["required"], "kind"],
        "additionalProperties": True,
    }


def _of_record(record: type) -> Schema:
    return _of_fields(record, [field.name for field in fields(record) if field.init])


def _of_fields(record: type, names: Collection[str]) -> Schema:
    """Return the schema of a table that states these fields of a record."""
    hints = get_type_hints(record, include_extras=True)
    properties, required = {}, []
    for field in fields(record):
        if field.name not in names:
            continue
        properties[field.name] = TypeAdapter(hints[field.name]).json_schema()
        if field.default is not MISSING:
            properties[field.name] |= {"default": field.default}
        elif field.default_factory is MISSING:
            required.append(field.name)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def main() -> None:
    PATH.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
