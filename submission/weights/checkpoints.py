"""Turn the words of a recipe into checkpoints: verified by the lock, or the user's own folders."""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from submission.errors import Fault
from submission.terminal.progress import Reporter
from submission.weights.folders import Weights, find_own, locate
from submission.weights.hashes import recall
from submission.weights.sizes import in_words
from submission.weights.to_come import commands, why_to_come
from submission.weights.verify import differences, open_locked

Opened = TypeVar("Opened")


class CheckpointFinder:
    """Turns the words of a recipe into folders; each checkpoint in the lock is verified once."""

    def __init__(
        self, recipe_folder: Path, weights: Weights, hash_all: bool, reporter: Reporter
    ) -> None:
        self._recipe_folder = recipe_folder
        self._weights = weights
        self.hash_all = hash_all  # trust no remembered hash
        self._reporter = reporter
        self._verified: dict[str, Path] = {}
        self._opened: dict[Hashable, Any] = {}

    def is_locked(self, name: str) -> bool:
        """Whether weights.lock has a checkpoint of this name."""
        return self._weights.lock.find(name) is not None

    def locate(self, name: str) -> Path:
        """Return the folder of a name, unverified; one in the lock may not be there.

        Raises InputError for a name that is neither in the lock nor a folder.
        """
        return locate(name, self._recipe_folder, self._weights)

    def openable(self, name: str) -> Path | None:
        """Return the folder of a name, unverified; None for one in the lock that is still to come.

        Raises InputError as `locate`.
        """
        return None if self.to_come(name) else self.locate(name)

    def to_come(self, name: str) -> str:
        """Say why a checkpoint in the lock cannot be opened yet; "" for others."""
        locked = self._weights.lock.find(name)
        return why_to_come(locked, self._weights) if locked else ""

    def commands(self, names: Sequence[str]) -> str:
        """Return the command lines that bring checkpoints of the lock."""
        return commands(names, self._weights)

    def differences(self, name: str) -> list[Fault]:
        """How a checkpoint differs from the lock, as far as that is seen without reading it.

        None for one that is still to come, or that the lock does not name.
        """
        locked = self._weights.lock.find(name)
        if locked is None or self.to_come(name):
            return []
        return differences(locked, self._weights.place(locked), beside=False, read=False)

    def once(self, key: Hashable, open_it: Callable[[], Opened]) -> Opened:
        """Return what opening gave, for experts that open the same: it is done once."""
        if key not in self._opened:
            self._opened[key] = open_it()
        found: Opened = self._opened[key]
        return found

    def forget_opened(self) -> None:
        """Let go of what `once` has kept."""
        self._opened.clear()

    def command(self, verb: str, *names: str) -> str:
        """Return the command line that fetches or verifies checkpoints of the lock."""
        return self._weights.command(verb, *names)

    def find(self, name: str) -> Path:
        """Return the verified folder of a name in the lock, or the user's own folder."""
        locked = self._weights.lock.find(name)
        if locked is None:
            return find_own(name, self._recipe_folder, self._weights)
        if name not in self._verified:
            folder = self._weights.place(locked)
            files = [folder / file.path for file in locked.files]
            unread = [f for f in files if f.is_file() and (self.hash_all or recall(f) is None)]
            if unread:
                size = in_words(sum(file.stat().st_size for file in unread))
                self._reporter.say(f"hashing {size} of {name}, to compare it with the lock")
            self._verified[name] = open_locked(self._weights, locked, again=self.hash_all)
            if self._weights.is_cached(locked):
                self._reporter.say(
                    f"{name}: used where it lies in the Hugging Face cache, {folder}"
                )
        return self._verified[name]
