"""What calibrating sees of a labelled split, and MeViS v2's numbers where some of it is emptied."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Table:
    """A row for each sentence of a labelled split.

    `j_and_f` and `found` are those of the vote as it is, `when_empty` the J&F of empty masks: 1
    without a target, else the share of frames in which nothing is to be seen.
    """

    videos: NDArray[np.int64]  # (N,), the number of each sentence's video
    evidence: dict[str, Floats]  # (N,) each, NaN where a sentence has none
    no_target: Flags  # (N,)
    j_and_f: Floats  # (N,)
    when_empty: Floats  # (N,)
    found: Flags  # (N,), any frame has foreground

    def rows(self, which: NDArray[np.generic]) -> "Table":
        """Return some of the rows, by flags or numbers."""
        return Table(
            self.videos[which],
            {name: values[which] for name, values in self.evidence.items()},
            self.no_target[which], self.j_and_f[which], self.when_empty[which], self.found[which],
        )  # fmt: skip

    @property
    def kinds(self) -> tuple[str, ...]:
        """The evidence that differs between sentences; other evidence decides nothing."""
        return tuple(
            name
            for name, values in self.evidence.items()
            if np.isfinite(values).any() and np.nanmax(values) > np.nanmin(values)
        )


@dataclass(frozen=True)
class Final:
    """The numbers of MeViS v2 at an expected share of no-target sentences, 0..1."""

    j_and_f: float
    n_acc: float
    t_acc: float

    @property
    def final(self) -> float:
        return (self.j_and_f + self.n_acc + self.t_acc) / 3


def expected_final(table: Table, emptied: Flags, share: float) -> Final:
    """Return the numbers where `emptied` sentences get empty masks, weighted to the share."""
    jf = np.where(emptied, table.when_empty, table.j_and_f)
    empty = emptied | ~table.found
    without, with_target = table.no_target, ~table.no_target
    j_and_f = share * jf[without].mean() + (1 - share) * jf[with_target].mean()
    return Final(float(j_and_f), float(empty[without].mean()), float((~empty)[with_target].mean()))
