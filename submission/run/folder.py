"""The names inside a run folder, in one place."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from submission.masks.store import PredictionStore
from submission.run.stages import Stages


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps what it makes; every part can be deleted and is then made again."""

    path: Path

    @cached_property
    def store(self) -> PredictionStore:
        """The answers of all experts; one store, which remembers what it has compared."""
        return PredictionStore(self.path / "predictions")

    @property
    def annotations(self) -> Path:
        """The PNGs of the vote: what the zip holds."""
        return self.path / "Annotations"

    @property
    def log(self) -> Path:
        """What every call on the run has said, so that a closed terminal loses nothing."""
        return self.path / "log.txt"

    @property
    def zip(self) -> Path:
        return self.path / "submission.zip"

    @property
    def check(self) -> Path:
        return self.path / "check.json"

    @property
    def score(self) -> Path:
        return self.path / "score.json"

    @property
    def report(self) -> Path:
        """The page; what it needs lies beside it."""
        return self.path / "report" / "index.html"

    @property
    def stages(self) -> Stages:
        """What the finished stages were made from."""
        return Stages(self.path)
