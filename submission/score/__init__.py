"""J, F and the v2 accuracies of a result, counted exactly as the judge counts them."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from submission.dataset.records import Split
    from submission.score.scoring import Score


class _CallablePackage(ModuleType):
    """Lets `from submission import score` be called, though a package has that name."""

    def __call__(self, path: "Path", split: "Split") -> "Score":
        from submission.score.result import score_result

        return score_result(path, split)


sys.modules[__name__].__class__ = _CallablePackage
