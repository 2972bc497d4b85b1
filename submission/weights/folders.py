"""Find a checkpoint: a folder by path, or a name below the weights folder."""

import os
from pathlib import Path

from submission.errors import InputError
from submission.weights.hashes import cache_folder


def weights_folder() -> Path:
    """Where checkpoints lie by name: MEVIS_WEIGHTS, else a folder in the user's cache."""
    return Path(os.environ.get("MEVIS_WEIGHTS") or cache_folder() / "weights")


def find_checkpoint(name: str, recipe_folder: Path) -> Path:
    """Return the folder or file that `name` means in a recipe of `recipe_folder`.

    A path is relative to the recipe, then to the working folder; a name is looked up below the
    weights folder last. Raises InputError saying where it was looked for.
    """
    path = Path(name).expanduser()
    places = [recipe_folder / path, Path.cwd() / path, weights_folder() / path]
    for place in places:
        if place.exists():
            return place.resolve()
    looked = ", ".join(dict.fromkeys(str(place) for place in places))
    raise InputError(
        f"checkpoint {name!r} is nowhere: looked for {looked}; give the folder that holds its "
        "config.json, or set MEVIS_WEIGHTS to the folder that holds the checkpoints"
    )
