"""The words that name data: --data, --split and the like, and what they mean together."""

import argparse
from pathlib import Path

from submission.dataset.mevis import META_FILES
from submission.dataset.records import DataNames
from submission.dataset.selection import Selection, parse_shard
from submission.recipes.find import SAMPLE, read_recipe
from submission.recipes.recipe import Recipe
from submission.verbs.verb import Arguments, user_path


def add_run(
    verb: argparse.ArgumentParser,
    recipe: str = "what to run: file or packaged name (default: sample)",
    run: str = "where the results go (default: runs/RECIPE)",
) -> None:
    """Add --recipe and --run, with what they mean."""
    verb.add_argument("--recipe", default=None, metavar="FILE.toml", help=recipe)
    verb.add_argument("--run", type=user_path, metavar="DIR", help=run)


def add_data(verb: argparse.ArgumentParser) -> None:
    """Add what says which data, and which part of it."""
    verb.add_argument("--data", type=user_path, metavar="DIR",
                      help="the folder that holds the splits (default: that of the recipe or run, "
                      "else the sample's)")  # fmt: skip
    verb.add_argument("--split", metavar="NAME", help="such as valid_u, valid or test")
    verb.add_argument(
        "--meta",
        metavar="FILE",
        help="name of the JSON with the sentences, where a split has several",
    )
    verb.add_argument("--videos", metavar="A,B,...", help="only these videos")
    verb.add_argument("--limit", type=int, metavar="N", help="only the first N videos")


def add_out(verb: argparse.ArgumentParser) -> None:
    """Add --out."""
    verb.add_argument(
        "--out",
        type=user_path,
        metavar="DIR",
        help="folder for the result as JSON (default: beside the zip or folder)",
    )


def named_recipe(arguments: Arguments) -> Recipe:
    """Return the recipe that the call names, or the sample's, with the call's data."""
    named = getattr(arguments, "recipe", None) or SAMPLE
    recipe = read_recipe(named, getattr(arguments, "set", ()))
    return recipe.with_data(*_root_and_split(arguments), arguments.meta)


def data_only(arguments: Arguments) -> DataNames:
    """Return where the data of a call lie: as it says, else as its recipe or the sample's."""
    if getattr(arguments, "recipe", None) or (arguments.data is None and arguments.split is None):
        return named_recipe(arguments).data
    return DataNames(*_root_and_split(arguments), arguments.meta)


def names_no_data(arguments: Arguments) -> bool:
    """Tell whether a call names no data, so that the sample's is taken."""
    return not any((getattr(arguments, "recipe", None), arguments.data, arguments.split))


def _root_and_split(arguments: Arguments) -> tuple[Path | None, str | None]:
    """What --data and --split mean; --data may be the folder of one split itself."""
    root: Path | None = arguments.data
    split: str | None = arguments.split
    if root is not None and (split is None or root.resolve().name == split):
        metas = (*META_FILES, *([arguments.meta] if arguments.meta else []))
        if any((root / name).is_file() for name in metas):
            return root.resolve().parent, root.resolve().name
    return root, split


def selection(arguments: Arguments) -> Selection:
    """Return the part of the split that the call asks for."""
    shard = getattr(arguments, "shard", None)
    return Selection(
        videos=tuple(name.strip() for name in arguments.videos.split(","))
        if arguments.videos
        else None,
        limit=arguments.limit,
        shard=parse_shard(shard) if shard else None,
    )
