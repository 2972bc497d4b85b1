"""What to run, as frozen records: data, experts, vote and output."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from submission.compute import Compute
from submission.dataset.records import DataNames
from submission.experts.expert import ExpertEntry
from submission.experts.registry import JUDGE
from submission.gate.decision import Gate
from submission.gate.judge import AUDIT, EXISTENCE
from submission.gate.judge import Settings as Judge
from submission.masks.ballot import Voting
from submission.masks.voting import Rule


@dataclass(frozen=True)
class Published:
    """What somebody else reports for this run, to be printed beside ours; in percent."""

    source: str
    split: str
    means: Mapping[str, float]  # "J&F", "J", "F", as far as they are reported


@dataclass(frozen=True)
class Recipe:
    """A whole run."""

    name: str
    folder: Path  # paths in the recipe are relative to this
    experts: tuple[ExpertEntry, ...]
    root: Path | None = None
    split: str | None = None
    meta: str | None = None  # the meta file, where a split has several
    rule: Rule = "majority"
    missing: Literal["error", "skip"] = "error"  # when an expert has no prediction for a sentence
    png: Literal["1bit", "8bit"] = "1bit"
    team: Mapping[str, Any] | None = None  # becomes team.json in the zip
    compute: Compute = field(default_factory=Compute)
    published: Published | None = None
    gate: Gate | None = None  # empties sentences that refer to nothing
    judge: Judge | None = None  # is asked, for the gate, whether there is what they refer to

    @property
    def judges(self) -> tuple[ExpertEntry, ...]:
        """The judge's rounds of questions; they answer as experts do, and have no vote.

        Each has answers of its own, so that switching the audit on asks no more than that.
        """
        if self.judge is None:
            return ()
        judge = replace(self.judge, expected=self.gate.judge if self.gate else None)
        first = ExpertEntry(EXISTENCE, JUDGE, replace(judge, audit=False))
        return (first, ExpertEntry(AUDIT, JUDGE, judge)) if judge.audit else (first,)

    @property
    def entries(self) -> tuple[ExpertEntry, ...]:
        """Everybody who answers: the experts, and the judge."""
        return (*self.experts, *self.judges)

    @property
    def voting(self) -> Voting:
        """Who votes on each sentence, and how."""
        return Voting(
            members=tuple(expert.name for expert in self.experts),
            weights=tuple(expert.weight for expert in self.experts),
            rule=self.rule,
            skip_missing=self.missing == "skip",
        )

    @property
    def data(self) -> DataNames:
        """Where its split lies."""
        return DataNames(self.root, self.split, self.meta)

    def with_data(
        self, root: str | Path | None = None, split: str | None = None, meta: str | None = None
    ) -> "Recipe":
        """Return the recipe on other data; what is None stays as it is."""
        names = DataNames(Path(root) if root else None, split, meta)
        return replace(self, **vars(names.or_else(self.data)))
