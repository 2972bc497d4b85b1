"""What can be scored at a path: PNGs in a folder or zip, or a run with its vote and experts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from submission.dataset.records import DataNames, Split
from submission.errors import InputError
from submission.files.strict_json import read_json
from submission.masks.identity import IDENTITY_FILE, read_identity
from submission.masks.store import NO_MASKS
from submission.output.layout import find_wrapper
from submission.output.mask_files import open_submission
from submission.recipes.recipe import Recipe
from submission.recipes.stored import from_json
from submission.run.folder import RunFolder
from submission.run.record import NAME as RECORD
from submission.score.answers import PngSource, StoreSource
from submission.score.score_file import VOTE

Found = PngSource | StoreSource


def is_run(path: Path) -> bool:
    """Tell whether a folder is a run: it has a record, or predictions."""
    return (path / RECORD).is_file() or (path / "predictions").is_dir()


def data_of_run(path: Path) -> DataNames | None:
    """Return what the record of a run says about its data, None when it has no record."""
    data = _record(path).get("data")
    if not data:
        return None
    match data:
        case {"root": str(root), "split": str(split), "meta": str(meta)}:
            return DataNames(Path(root), split, meta)
    raise InputError(
        f"{path / RECORD}: damaged: its data has no root, split and meta; name the data with "
        "--data and --split"
    )


def run_of(path: Path) -> Path | None:
    """Return the run that `path` is, or whose zip, PNGs or answers of an expert it is."""
    for folder in (path, path.parent, path.parent.parent):
        run = RunFolder(folder)
        parts = (folder, run.zip, run.annotations)
        if is_run(folder) and (path in parts or path.parent == run.store.folder):
            return folder
    return None


def recipe_of_run(path: Path) -> Recipe | None:
    """Return the recipe that a run was made with, None when it has no record.

    Raises InputError for a record of another version of the kit.
    """
    recipe = _record(path).get("recipe")
    try:
        return from_json(recipe) if recipe else None
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise InputError(
            f"{path / RECORD}: its recipe cannot be read ({error}); name it with --recipe"
        ) from error


def begun_with(path: Path) -> tuple[str | None, list[str]]:
    """Return the name of a run's recipe and the words of its first call, as far as it says."""
    match _record(path):
        case {"recipe": {"name": str(name)}, "calls": [{"command": [*command]}, *_]}:
            return name, list(map(str, command))
    return None, []


def find_results(path: Path, split: Split) -> list[Found]:
    """Return everything that can be scored at `path`, the vote last.

    Raises InputError when there is nothing, or when PNGs lie a folder too deep.
    """
    if not path.exists():
        raise InputError(f"{path}: nothing is there; give a folder or zip of PNGs, or a run folder")
    if (path / IDENTITY_FILE).is_file():
        return [StoreSource(path.resolve().name, path.resolve().parent)]
    if is_run(path):
        return _results_of_run(RunFolder(path))
    if experts := _experts(path):
        return [StoreSource(name, path) for name in experts]
    _refuse_wrapped(path, split)
    name = path.stem if path.is_file() else path.resolve().name
    return [PngSource(name, path)]


def _results_of_run(run: RunFolder) -> list[Found]:
    # A folder that the recipe of the last call did not fill may be there from an earlier one.
    recorded = _record(run.path).get("experts") or {}
    store = run.store.folder
    found = sorted(path.name for path in store.iterdir() if path.is_dir()) if store.is_dir() else []
    names = _with_masks([name for name in recorded if name in found] or found, store)
    results: list[Found] = [StoreSource(name, store) for name in names]
    pngs = next((path for path in (run.zip, run.annotations) if path.exists()), None)
    if pngs is not None:
        results.append(PngSource(VOTE, pngs))
    if not results:
        raise InputError(f"{run.path}: this run has no predictions yet; run predict first")
    return results


def _experts(store: Path) -> list[str]:
    if not store.is_dir():
        return []
    found = sorted(folder.name for folder in store.iterdir() if (folder / IDENTITY_FILE).is_file())
    return _with_masks(found, store)


def _with_masks(names: Sequence[str], store: Path) -> list[str]:
    """Those that answer with masks: a gate's judge does not."""
    return [name for name in names if not _says_numbers(store / name / IDENTITY_FILE)]


def _says_numbers(path: Path) -> bool:
    identity = read_identity(path)
    return isinstance(identity, dict) and identity.get("masks") == NO_MASKS["masks"]


def _record(run: Path) -> dict[str, Any]:
    path = run / RECORD
    record = read_json(path) if path.is_file() else {}
    if not isinstance(record, dict):
        raise InputError(f"{path}: damaged: it is not an object")
    return record


def _refuse_wrapped(path: Path, split: Split) -> None:
    with open_submission(path) as files:
        wrapper = find_wrapper(files.names(), split)
    if wrapper is None:
        return
    what = f"{path}: all videos are inside the folder {wrapper}/, and the judge would find none"
    if path.is_dir():
        raise InputError(f"{what}; score that one: mevis-submission score {path / wrapper}")
    raise InputError(f"{what}; zip the content of that folder, not the folder")
