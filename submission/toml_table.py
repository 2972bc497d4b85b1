"""Read TOML tables and collect everything that is wrong instead of stopping at the first fault."""

from collections.abc import Mapping
from typing import Any

from submission.errors import Fault


class Table:
    """A TOML table that collects faults instead of stopping at the first one."""

    def __init__(self, values: Mapping[str, Any], where: str, faults: list[Fault]) -> None:
        self._values = values
        self._where = where
        self._faults = faults
        self._known: set[str] = set()

    def has(self, key: str) -> bool:
        """Tell whether the table has a key."""
        return key in self._values

    def raw(self) -> Mapping[str, Any]:
        """Return the table as it is."""
        return self._values

    def text(self, key: str) -> str | None:
        """Return a text, None where there is none."""
        value = self._take(key, None)
        if value is not None and not isinstance(value, str):
            self._note(key, f"it is {value!r}; it must be a text in quotes")
            return None
        return value

    def count(self, key: str, default: int, least: int = 1) -> int:
        """Return a whole number of at least `least`."""
        value = self._take(key, default)
        if type(value) is not int or value < least:
            self._note(key, f"it is {value!r}; it must be a whole number of at least {least}")
            return default
        return value

    def number(self, key: str, default: float) -> float:
        """Return a number, whole or not."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._note(key, f"it is {value!r}; it must be a number")
            return default
        return float(value)

    def choice(self, key: str, known: tuple[str, ...], default: str) -> Any:
        """Return one of the known words."""
        value = self._take(key, default)
        if value not in known:
            words = ", ".join(f'"{word}"' for word in known)
            self._note(key, f"it is {value!r}; it must be one of {words}")
            return default
        return value

    def table(self, key: str) -> "Table":
        """Return a table below this one, empty where there is none."""
        value = self._take(key, {})
        if not isinstance(value, dict):
            self._note(key, f"it must be a table: [{key}]")
            value = {}
        return Table(value, f"[{key}] ", self._faults)

    def tables(self, key: str) -> list["Table"]:
        """Return a list of tables, each begun by [[key]]."""
        values = self._take(key, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            self._note(key, f"it must be a list of tables, each begun by [[{key}]]")
            return []
        return [Table(value, f"{key} {n}, ", self._faults) for n, value in enumerate(values, 1)]

    def know(self, *keys: str) -> None:
        self._known.update(keys)

    def refuse_unknown(self) -> None:
        """Note every key that nobody has asked for: a typing error must not pass as a default."""
        for key in sorted(self._values.keys() - self._known):
            self._note(key, f"unknown key; known here: {', '.join(sorted(self._known))}")

    def _take(self, key: str, default: Any) -> Any:
        self._known.add(key)
        return self._values.get(key, default)

    def _note(self, key: str, what: str) -> None:
        self._faults.append(Fault(f"{self._where}{key}", what))
