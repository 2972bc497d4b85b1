"""Where checkpoints lie: by name below the weights folder, or a folder of the user's own."""

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from submission.did_you_mean import nearest_or_all
from submission.errors import InputError
from submission.files.user_cache import NO_CACHE, cache_folder
from submission.files.user_paths import expand
from submission.weights.hub_cache import find_snapshot
from submission.weights.lock import Lock, LockedCheckpoint
from submission.weights.lock_file import default_lock, read_lock


def weights_folder() -> Path:
    """Where checkpoints lie by name: MEVIS_WEIGHTS, else a folder in the user's cache."""
    named = os.environ.get("MEVIS_WEIGHTS")
    return expand(named) if named else cache_folder() / "weights"


def refuse_no_folder(folder: Path) -> None:
    """Raise InputError where checkpoints have no place because the user has no home."""
    if folder.is_relative_to(NO_CACHE):
        raise InputError(
            "this user has no home folder, so there is no place for checkpoints: set MEVIS_WEIGHTS "
            "to a folder for them, or XDG_CACHE_HOME to one for all that is kept"
        )


@dataclass(frozen=True)
class Weights:
    """A lock and the folder in which its checkpoints lie, each below its name."""

    lock: Lock = field(default_factory=lambda: read_lock(default_lock()))
    folder: Path = field(default_factory=weights_folder)

    def home(self, checkpoint: LockedCheckpoint) -> Path:
        """Return the folder into which a checkpoint is fetched, there or not."""
        return self.folder / checkpoint.name

    def place(self, checkpoint: LockedCheckpoint) -> Path:
        """Return the folder from which a checkpoint is read, there or not.

        That is the Hugging Face cache where it is whole and at the locked revision, and the
        checkpoint's own folder is not whole.
        """
        snapshot = None if self.is_home(checkpoint) else find_snapshot(checkpoint)
        return snapshot.folder if snapshot and not snapshot.problem else self.home(checkpoint)

    def is_home(self, checkpoint: LockedCheckpoint) -> bool:
        """Whether all files of a checkpoint lie in its own folder, whatever they hold."""
        own = self.home(checkpoint)
        return all(os.path.lexists(own / file.path) for file in checkpoint.files)

    def is_cached(self, checkpoint: LockedCheckpoint) -> bool:
        """Whether it is read from the Hugging Face cache."""
        return self.place(checkpoint) != self.home(checkpoint)

    def command(self, verb: str, *names: str) -> str:
        """Return the command line for a verb on this lock and folder, to be run as it stands."""
        words = ["mevis-submission", "weights", verb, *names]
        if self.lock.path.resolve() != default_lock():
            words += ["--lock", str(self.lock.path)]
        if self.folder != weights_folder():
            words += ["--dir", str(self.folder)]
        return shlex.join(words)


def locate(name: str, recipe_folder: Path, weights: Weights) -> Path:
    """Return the folder of a recipe's checkpoint, unverified; one in the lock may not be there.

    Raises InputError as `find_own` for a name that is not in the lock.
    """
    locked = weights.lock.find(name)
    return weights.place(locked) if locked else find_own(name, recipe_folder, weights)


def find_own(name: str, recipe_folder: Path, weights: Weights) -> Path:
    """Return the folder or file that `name` means in a recipe of `recipe_folder`.

    A path is relative to the recipe, then to the working folder; a name that is not in the lock
    is looked up below the weights folder last. Raises InputError saying where it was looked for.
    """
    path = expand(name)
    places = [recipe_folder / path, Path.cwd() / path, weights.folder / path]
    for place in places:
        if place.exists():
            return place.resolve()
    looked = ", ".join(dict.fromkeys(str(place) for place in places))
    known = (item.name for item in weights.lock.checkpoints)
    is_path = name.startswith((".", "/", "~"))  # then no name of the lock is meant
    raise InputError(
        f"checkpoint {name!r} is nowhere; looked for {looked}; give the folder that holds its "
        f"config.json, or a name in {weights.lock.path.name}"
        f"{'' if is_path else nearest_or_all(name, known, weights.command('list'))}"
    )
