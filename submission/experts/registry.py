"""The kinds of experts: ours by name, and those of other packages by their entry points.

A kind is a module, or a package of its own folder, with

    Settings                                  a frozen dataclass: the keys of its [[expert]]
    build(name, settings, tools) -> Expert    opens nothing; raises InputError as it likes

A package of somebody else adds one by an entry point in the group `mevis_submission.experts`, whose
name is the kind (docs/experts.md).
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from submission.did_you_mean import did_you_mean
from submission.errors import InputError
from submission.experts.expert import Expert, Tools

KINDS = {
    "sa2va": "submission.experts.sa2va",
    "masks": "submission.experts.mask_files",
    "example": "submission.experts.example",
    "propagate": "submission.experts.propagate",
    "uninext-cutie": "submission.experts.uninext_cutie",
    "container": "submission.experts.container",
}
# Kinds that no [[expert]] names: they have no vote, and a table of their own in a recipe.
JUDGE = "gate-judge"
WITHOUT_VOTE = {JUDGE: "submission.experts.judge"}
GROUP = "mevis_submission.experts"
BY_KEY = {"checkpoint": "sa2va", "masks": "masks"}  # what a recipe without `kind` means


def find_kind(name: str) -> ModuleType:
    """Return the module of a kind; raise InputError when there is none, or it is no kind."""
    if name in KINDS:
        return import_module(KINDS[name])
    points = {point.name: point for point in _entry_points()}
    if name not in points:
        known = [*KINDS, *points]
        raise InputError(
            f'there is no kind of expert "{name}"{did_you_mean(name, known)}; known: '
            f"{', '.join(known)}. Others come with their package: "
            "install it (docs/experts.md)"
        )
    return _open(points[name])


def implied_kind(table: Mapping[str, Any]) -> str:
    """Return the kind that an [[expert]] without `kind` means.

    Raises InputError when its keys leave that open.
    """
    named = [kind for key, kind in BY_KEY.items() if key in table]
    if len(named) > 1:
        raise InputError(
            f"it has {' and '.join(key for key in BY_KEY if key in table)}, which are two experts: "
            "give each an [[expert]] of its own"
        )
    if not named:
        raise InputError("it needs either checkpoint (a model answers) or masks (PNGs), or a kind")
    return named[0]


def build_experts(tools: Tools) -> list[Expert]:
    """Build the experts of a recipe, in its order."""
    return [
        _module_of(entry.kind).build(entry.name, entry.settings, tools) for entry in tools.entries
    ]


def _module_of(kind: str) -> ModuleType:
    return import_module(WITHOUT_VOTE[kind]) if kind in WITHOUT_VOTE else find_kind(kind)


def _entry_points() -> Iterator[EntryPoint]:
    """Those of other packages; a kind of ours cannot be taken over."""
    ours = KINDS | WITHOUT_VOTE
    return (point for point in entry_points(group=GROUP) if point.name not in ours)


def _open(point: EntryPoint) -> ModuleType:
    try:
        module: ModuleType = point.load()
    except Exception as error:  # somebody else's code: whatever it raises, the recipe cannot run
        raise InputError(
            f'the kind "{point.name}" cannot be imported from {point.value}: '
            f"{type(error).__name__}: {error}; install its package again, or ask its authors"
        ) from error
    if missing := [name for name in ("Settings", "build") if not hasattr(module, name)]:
        raise InputError(
            f'the kind "{point.name}" ({point.value}) has no {" and no ".join(missing)}: its entry '
            "point must name a module that has both (docs/experts.md)"
        )
    return module
