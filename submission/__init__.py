"""From a MeViS split to a checked submission zip: experts, voting, PNGs, archive, verdict."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from submission.dataset.mevis import read_split
    from submission.dataset.selection import Selection
    from submission.models import load
    from submission.output.check import check
    from submission.pipeline.submit import Run
    from submission.recipes.find import read_recipe
    from submission.score.result import score_result as score
    from submission.terminal.progress import Reporter

__all__ = [
    "Reporter", "Run", "Selection", "__version__", "check", "load", "read_recipe", "read_split",
    "score",
]  # fmt: skip

# What Python is promised (docs/python.md), and where it lies. Each is imported when it is asked
# for, so that `import submission` costs nothing. `score` is not here: it is the package of that
# name, which can be called.
_HOMES = {
    "Reporter": "submission.terminal.progress",
    "Run": "submission.pipeline.submit",
    "Selection": "submission.dataset.selection",
    "check": "submission.output.check",
    "load": "submission.models",
    "read_recipe": "submission.recipes.find",
    "read_split": "submission.dataset.mevis",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
