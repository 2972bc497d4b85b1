"""The loaded models of a pass: each is loaded once, and dropped when the next needs its memory."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from submission.errors import InputError

Model = TypeVar("Model")


class ModelCache:
    """Holds loaded models by key; knows nothing of what they are."""

    def __init__(self) -> None:
        self._models: dict[str, Any] = {}
        self._together: frozenset[str] = frozenset()
        self._failures: dict[str, InputError] = {}

    @property
    def failure(self) -> InputError | None:
        """Why a model could not be loaded; None where that never happened."""
        return next(iter(self._failures.values()), None)

    def keep_together(self, keys: Collection[str]) -> None:
        """From now on these models may stand side by side; others go when one is loaded."""
        self._together = frozenset(keys)

    def is_alone(self, key: str) -> bool:
        """Whether no other model may stand beside this one."""
        return not self._together - {key}

    def get(self, key: str, load: Callable[[], Model]) -> Model:
        """Return the model of a key, loading it when it is not there.

        All but those that may stand beside it are dropped before it is loaded. One that could not
        be loaded is not tried again: the same InputError is raised.
        """
        if key in self._failures:
            raise self._failures[key]
        if key not in self._models:
            beside = self._together if key in self._together else frozenset()
            self._models = {kept: self._models[kept] for kept in self._models.keys() & beside}
            try:
                self._models[key] = load()
            except InputError as error:
                self._failures[key] = error
                raise
        found: Model = self._models[key]
        return found
