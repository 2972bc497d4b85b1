"""A TOML or JSON table becomes a frozen record, or a list of everything that is wrong in it.

The record is a dataclass: its fields are the keys, its defaults the only place where they stand,
its annotations what pydantic checks, strictly. Bounds stand in the annotation, as
`Annotated[int, Ge(1)]`; what hangs on several fields is the record's own `__post_init__`, which
raises FaultyInput.
"""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from submission.did_you_mean import did_you_mean
from submission.errors import Fault, FaultyInput

Record = TypeVar("Record")


def read_record(
    kind: type[Record], values: Mapping[str, Any], where: str, faults: list[Fault],
    also_known: Collection[str] = (),
) -> Record | None:  # fmt: skip
    """Return the record that a table states, or None with what is wrong added to `faults`.

    `where` stands before each key, such as "[vote] " or "expert 1, "; keys that are `also_known`
    are somebody else's to read.
    """
    keys = [field.name for field in fields(kind) if field.init]  # type: ignore[arg-type]
    found: list[Fault] = []
    given = read_fields(kind, keys, values, where, found, also_known)
    record = None
    try:
        record = kind(**given)
    except FaultyInput as error:
        found += [Fault(f"{where}{fault.where}", fault.what) for fault in error.faults]
    except TypeError:
        if not found:
            raise  # else a field without a default was wrong or missing, and that is told
    faults += found
    return None if found else record


def read_fields(
    kind: type, keys: Collection[str], values: Mapping[str, Any], where: str,
    faults: list[Fault], also_known: Collection[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Return what a table states of some fields of a record; arguments as in `read_record`."""
    known = {field.name: field for field in fields(kind) if field.name in keys}
    given: dict[str, Any] = {}
    for key, field in known.items():
        if key in values:
            try:
                given[key] = _checker(kind, key).validate_python(_frozen(values[key]))
            except ValidationError as error:
                faults += _in_words(error, where + key, _hints(kind)[key])
        elif field.default is MISSING and field.default_factory is MISSING:
            faults.append(Fault(f"{where}{key}", "it is missing"))
    words = ", ".join(sorted({*keys, *also_known}))
    unknown = sorted(values.keys() - known.keys() - set(also_known))
    for key in unknown:
        nearest = did_you_mean(key, {*keys, *also_known})
        faults.append(Fault(f"{where}{key}", f"unknown key{nearest}; known here: {words}"))
    return given


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


@cache
def _checker(kind: type, key: str) -> TypeAdapter[Any]:
    return TypeAdapter(_hints(kind)[key], config=ConfigDict(strict=True, allow_inf_nan=False))


def _frozen(value: Any) -> Any:
    """Lists become tuples, as frozen records keep them."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


# --- faults in words -----------------------------------------------------------------------------
_WORDS = {
    "string_type": "it must be a text in quotes",
    "string_too_short": "it must not be empty",
    "int_type": "it must be a whole number",
    "float_type": "it must be a number",
    "finite_number": "it must be finite",
    "bool_type": "it must be true or false",
    "path_type": "it must be a text in quotes",
    "tuple_type": "it must be a list",
    "dict_type": "it must be a table",
    "greater_than": "it must be above {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be below {lt}",
    "less_than_equal": "it must be at most {le}",
}


def _in_words(error: ValidationError, place: str, hint: Any) -> list[Fault]:
    faults = []
    for one in error.errors():
        steps = "".join(f"[{step}]" for step in one["loc"] if isinstance(step, int))
        faults.append(Fault(place + steps, _words(one, hint)))
    return faults


def _words(error: Mapping[str, Any], hint: Any) -> str:
    shown = repr(error["input"])
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    if error["type"] == "literal_error":
        choices = _choices(hint)
        nearest = did_you_mean(
            str(error["input"]), [one for one in choices if isinstance(one, str)]
        )
        return f"it is {shown}; it must be one of {', '.join(map(_quoted, choices))}{nearest}"
    words = _WORDS.get(error["type"], str(error["msg"]))
    return f"it is {shown}; {words.format(**error.get('ctx', {}))}"


def _choices(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(choice for part in get_args(hint) for choice in _choices(part))


def _quoted(choice: Any) -> str:
    return f'"{choice}"' if isinstance(choice, str) else str(choice)
