"""What a recipe names on this machine: the files and folders that a container has to see, too."""

from pathlib import Path

from submission.errors import InputError
from submission.files.toml_text import read_toml, strings
from submission.files.user_paths import expand

PATH_LIKE = ("/", "./", "../", "~")


def named_by(recipe: Path) -> tuple[Path, ...]:
    """Return a recipe's own path and every file or folder that its strings name, absolute.

    A string names one when it is written as a path, or when something of that name lies beside the
    recipe: so masks, own checkpoints, calibrations and data are found whatever kind of expert reads
    them. Names in weights.lock and on the Hub are neither. Raises InputError for no TOML, and for
    the home folder of nobody.
    """
    try:
        values = read_toml(recipe)
    except FileNotFoundError:
        raise InputError(f"{recipe}: no such recipe; looked for {recipe.absolute()}") from None
    folder = recipe.absolute().parent
    named = [recipe.absolute()]
    for text in strings(values):
        path = folder / expand(text)
        if text.startswith(PATH_LIKE) or (text and _lies_there(path)):
            named.append(path)
    return tuple(dict.fromkeys(named))


def _lies_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a sentence for a person, too long for a file name
        return False
